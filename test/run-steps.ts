/**
 * `npm run test:steps [-- JOB…]`: runs the steps of .github/workflows/ci.yml that need no more than Node, Java and Maven,
 * as the runner does: in a clean clone of HEAD for each job, in order, with bash. Lists the steps that it skips.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ROOT, runSteps, type Step } from './support/workflows.ts'

const print = (line: string) => process.stderr.write(`${line}\n`)

/** Returns true if every step of the job passed; stops at the first failure. */
function passes(steps: Step[]): boolean {
  const clone = mkdtempSync(join(tmpdir(), 'clean-clone-'))
  chmodSync(clone, 0o755) // as root, servers run as user nobody
  try {
    execFileSync('git', ['clone', '--quiet', '--no-hardlinks', ROOT, clone])
    return steps.every(({ job, run, env }) => {
      print(`=== ${job}: ${run}`)
      const options = { cwd: clone, stdio: 'inherit', env: { ...process.env, ...env, CI: 'true' } } as const
      return spawnSync('bash', ['-eo', 'pipefail', '-c', run], options).status === 0
    })
  } finally {
    rmSync(clone, { recursive: true, force: true })
  }
}

const chosenJobs = process.argv.slice(2)
const steps = runSteps('.github/workflows/ci.yml').filter(
  ({ job }) => chosenJobs.length === 0 || chosenJobs.includes(job),
)
for (const { job, run, needs } of steps.filter(step => step.needs.length > 0))
  print(`skipped, needs ${needs.join(', ')}: ${job}: ${run.split('\n')[0]}`)
const jobs = Map.groupBy(
  steps.filter(step => step.needs.length === 0),
  ({ job }) => job,
)
const failed = [...jobs].filter(([, steps]) => !passes(steps)).map(([job]) => job)
print(failed.length === 0 ? `${jobs.size} jobs passed` : `failed: ${failed.join(', ')}`)
process.exitCode = failed.length === 0 && jobs.size > 0 ? 0 : 1
