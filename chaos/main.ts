/** `npm run chaos`: reads the command line, runs, and writes the report. The exit code is the verdict. */
import { join } from 'node:path'
import { hideBin } from 'yargs/helpers'
import { writeTextFile } from '#common/files.ts'
import { writeLines } from '#common/output.ts'
import { runMain } from '#common/run-main.ts'
import { renderChart } from './chart.ts'
import { Api } from './kubectl.ts'
import { Live } from './live.ts'
import { type Report, renderReport } from './report.ts'
import { Run } from './run.ts'
import { readSettings } from './settings.ts'

const api = new Api()
process.once('exit', () => api.close())

async function main(): Promise<number> {
  const settings = await readSettings(hideBin(process.argv))
  const stopping = new AbortController()
  // The first signal ends the run with a report, the second kills it.
  const stop = () => (stopping.signal.aborted ? process.exit(130) : stopping.abort())
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, stop)
  const report = await new Run(api, settings, new Live(), stopping.signal).run()
  if (report === null) return 0
  writeLines(process.stdout, `\n${renderReport(report).trimEnd()}`)
  if (settings.report !== null) write(settings.report, report)
  return report.ok ? 0 : 1
}

function write(folder: string, report: Report): void {
  writeTextFile(join(folder, 'chaos.md'), renderReport(report))
  writeTextFile(join(folder, 'chaos.json'), `${JSON.stringify(report)}\n`)
  writeTextFile(join(folder, 'chaos.svg'), renderChart(report))
  writeLines(process.stdout, `\nReport written to ${folder}: chaos.md, chaos.json, chaos.svg`)
}

await runMain(main, { exitCodeOf: () => 2 })
