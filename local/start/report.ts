/** The report of a bounded run as JSON, and its exit code. Pure. */
import type { LoadReport } from '#producer/load.ts'
import type { Verdict } from '#verify/verify.ts'
import type { Usage } from './usage.ts'

export type Outcome = {
  pipeline: string
  startedAt: number
  endedAt: number
  verdict: Verdict
  drained: boolean
  /** Null with --no-load. */
  load: { offeredRate: number; sent: number; restarts: number; report: LoadReport | null } | null
  workerRestarts: number
  usage: Record<string, Usage>
  environment: { node: string; platform: string; cpus: number }
  /** Folder of the logs, for messages. */
  logs: string
}

/** Fields of the verdict that cover all runs since --fresh. */
const SINCE_FRESH = [
  'sent',
  'acknowledged',
  'aggregated',
  'late',
  'latePerAggregation',
  'deadLettered',
  'duplicates',
  'lost',
  'doubled',
  'rows',
  'finalWindows',
] as const

export type Report = Pick<Verdict, (typeof SINCE_FRESH)[number] | 'delayMs'> & {
  ok: boolean
  pipeline: string
  /** Which fields cover all runs since --fresh, and which only this run. */
  covers: { allSinceFresh: string; thisRun: string }
  startedAt: string
  seconds: number
  offeredRate: number | null
  achievedRate: number | null
  sentInThisRun: number
  drained: boolean
  workerRestarts: number
  /** CPU seconds since the process started and peak resident memory; servers include their child processes. */
  processes: Record<string, Usage>
  environment: Outcome['environment']
  problems: string[]
}

export function buildReport(outcome: Outcome): Report {
  const { pipeline, startedAt, endedAt, verdict, drained, load, workerRestarts, usage, environment } = outcome
  const { lost, doubled, rows, delayMs } = verdict
  const problems = [...verdict.problems, ...runProblems(outcome)]
  return {
    ok: verdict.ok && problems.length === 0 && lost === 0 && doubled === 0 && rows.compared > 0,
    pipeline,
    covers: {
      allSinceFresh: SINCE_FRESH.join(', '),
      thisRun: 'delayMs, offeredRate, achievedRate, sentInThisRun, processes',
    },
    startedAt: new Date(startedAt).toISOString(),
    seconds: (endedAt - startedAt) / 1000,
    ...pick(verdict, SINCE_FRESH),
    delayMs,
    offeredRate: load?.offeredRate ?? null,
    // After a restart the generator reports only the time since then.
    achievedRate: load?.restarts === 0 ? (load.report?.achievedRate ?? null) : null,
    sentInThisRun: load?.sent ?? 0,
    drained,
    workerRestarts,
    processes: usage,
    environment,
    problems,
  }
}

function pick<T, K extends keyof T>(from: T, keys: readonly K[]): Pick<T, K> {
  return Object.fromEntries(keys.map(key => [key, from[key]])) as Pick<T, K>
}

/** Returns 0 if nothing was lost or doubled, every row is correct, and at least one row was compared; else 1. */
export function exitCodeOf(report: Pick<Report, 'ok'>): 0 | 1 {
  return report.ok ? 0 : 1
}

function runProblems({ drained, load, logs }: Outcome): string[] {
  const problems: string[] = []
  if (!drained)
    problems.push(
      'the pipeline did not process everything in time: missing rows may be unprocessed, not lost. To verify again, run npm start with --no-load --for 1s',
    )
  if (load && load.offeredRate > 0 && load.sent === 0)
    problems.push(`the load generator sent no sale; see ${logs}/load.log`)
  return problems
}
