/** `npm run chaos`: reads the command line, runs, writes the report, and says by its exit code how it went. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { hideBin } from 'yargs/helpers'
import { renderChart } from './chart.ts'
import { Api, ChaosError } from './kubectl.ts'
import { Live } from './live.ts'
import { type Report, renderReport } from './report.ts'
import { Run } from './run.ts'
import { readSettings } from './settings.ts'

const api = new Api()
process.once('exit', () => api.close())

async function main(): Promise<number> {
  const settings = await readSettings(hideBin(process.argv))
  const stopping = new AbortController()
  // The first asks for an end with a report; the second is not to be argued with.
  const stop = () => (stopping.signal.aborted ? process.exit(130) : stopping.abort())
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, stop)
  const report = await new Run(api, settings, new Live(), stopping.signal).go()
  if (report === null) return 0
  process.stdout.write(`\n${renderReport(report)}`)
  if (settings.report !== null) write(settings.report, report)
  return report.ok ? 0 : 1
}

function write(folder: string, report: Report): void {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'chaos.md'), renderReport(report))
  writeFileSync(join(folder, 'chaos.json'), `${JSON.stringify(report)}\n`)
  writeFileSync(join(folder, 'chaos.svg'), renderChart(report))
  process.stdout.write(`\n${folder}: chaos.md, chaos.json, chaos.svg\n`)
}

process.exitCode = await main().catch((error: Error) => {
  process.stderr.write(`${error instanceof ChaosError ? error.message : error.stack}\n`)
  return 2
})
api.close()
