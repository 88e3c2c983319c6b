/** `npm run bench:scaling`: compares our autoscaler with lag divided by a threshold, on simulated load patterns. */
import { PATTERNS, SETTINGS } from '#test/operator/scaling/patterns.ts'
import { lagDivided, type Outcome, ours, simulate } from '#test/operator/scaling/simulation.ts'

const cells = ({ changes, lateSeconds, workerHours }: Outcome) =>
  `${changes} | ${lateSeconds} | ${workerHours.toFixed(1)}`

process.stdout.write(
  '| pattern | changes | s late | worker-hours | lag ÷ 1000: changes | s late | worker-hours |\n|---|---|---|---|---|---|---|\n',
)
for (const pattern of PATTERNS) {
  const autoscaled = simulate(pattern, ours(SETTINGS))
  const byLag = simulate(pattern, lagDivided(SETTINGS, pattern.partitions))
  process.stdout.write(`| ${pattern.name} | ${cells(autoscaled)} | ${cells(byLag)} |\n`)
}
