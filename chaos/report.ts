/** The results of a run: figures per fault, as a table and as JSON. */
import { printableLines } from '#common/output.ts'
import type { Kind } from './fault-schedule.ts'
import { type Delay, delayIn, peakLag, rateIn, standstill, type Tick, type Window, worstStandstill } from './measure.ts'
import { renderVerdict, type Verdict } from './verdict.ts'

export type Figures = {
  rate: number
  standstillMs: number
  worstStandstillMs: number
  peakLag: number | null
  /** `delay`: from a sale to its committed result. `projection`: from there to its document. */
  delay: Delay | null
  projection: Delay | null
}

export type Outcome = Figures & {
  round: number
  kind: Kind
  target: string
  window: Window
  /** The fault took effect. */
  bit: boolean
  /** Null if it did not recover. */
  recoveredMs: number | null
  /** Null if the fault took effect and everything recovered. */
  failure: string | null
}

export type Report = {
  /** Every fault took effect, everything recovered, and the results are exact. */
  ok: boolean
  context: string
  namespace: string
  pipeline: string
  seed: number
  startedAt: number
  endedAt: number
  /** Figures before the first fault. */
  calm: Figures & { window: Window }
  faults: Outcome[]
  verdict: Verdict | null
  /** The load was stopped before the verification, so documents were compared as well as rows. */
  drained: boolean
  /** Why there is no verdict; null if there is one. */
  problem: string | null
  /** What must be repaired by hand. */
  leftBehind: string[]
  /** Bucket bounds of the histograms in `ticks`, in seconds; infinity is null in JSON. */
  bounds: number[]
  ticks: Tick[]
}

export function measured(ticks: Tick[], bounds: number[], window: Window): Figures {
  return {
    rate: rateIn(ticks, window),
    standstillMs: standstill(ticks, window),
    worstStandstillMs: worstStandstill(ticks, window),
    peakLag: peakLag(ticks, window),
    delay: delayIn(ticks, bounds, window),
    projection: delayIn(ticks, bounds, window, 'projection'),
  }
}

const HEAD = [
  'fault',
  'target',
  'time to recover, s',
  'longest time without commits, s',
  'longest time without commits in one partition, s',
  'peak lag',
  'delay from sale to result p50, s',
  'p99, s',
  'max, s',
  'delay from commit to Elasticsearch p99, s',
]

export function renderReport(report: Report): string {
  const { context, namespace, pipeline, seed, calm, faults, verdict, problem, leftBehind, ok, bounds, drained } = report
  const rows = [
    row(['none', 'before the first fault', ''], calm, bounds),
    ...faults.map(fault => row([fault.kind, fault.target, renderSeconds(fault.recoveredMs)], fault, bounds)),
  ]
  const failures = faults.filter(({ failure }) => failure !== null)
  return [
    `# Chaos: ${pipeline} in ${namespace}`,
    '',
    `${new Date(report.startedAt).toISOString()}, context ${context}, seed ${seed}: **${ok ? 'passed' : 'FAILED'}**`,
    '',
    line(HEAD),
    line(HEAD.map(() => '---')),
    ...rows,
    '',
    ...failures.map(({ round, kind, failure }) => `- round ${round}, ${kind}: ${failure}`),
    ...(verdict ? renderVerdict(verdict).split('\n') : [problem ?? 'no verdict']).map(text => `- ${text}`),
    ...(verdict && !drained
      ? [
          '- verified while load was running, so only rows were compared; use --stop-load to compare the Elasticsearch documents as well',
        ]
      : []),
    ...leftBehind.map(text => `- to clean up: ${text}`),
    '',
    'Measured every half second. Delay percentiles are estimates within buckets; max is the upper bound of a bucket.',
    '',
  ]
    .map(printableLines)
    .join('\n')
}

function row(about: string[], figures: Figures, bounds: number[]): string {
  const { standstillMs, worstStandstillMs, delay, projection } = figures
  const lag = figures.peakLag === null ? 'unknown' : String(figures.peakLag)
  const pauses = [standstillMs, worstStandstillMs].map(renderSeconds)
  const delays = delay ? [delay.p50, delay.p99].map(seconds => renderDelay(seconds, bounds)) : ['–', '–']
  const max = delay ? renderBound(delay.max, bounds) : '–'
  const documents = projection ? renderDelay(projection.p99, bounds) : '–'
  return line([...about, ...pauses, lag, ...delays, max, documents])
}

const line = (cells: string[]) => `| ${cells.join(' | ')} |`
export const renderSeconds = (ms: number | null) => (ms === null ? 'never' : (ms / 1000).toFixed(1))
const renderDelay = (seconds: number, bounds: number[]) =>
  seconds === Infinity ? `≥ ${bounds.at(-2)}` : seconds.toFixed(seconds < 10 ? 2 : 1)
const renderBound = (seconds: number, bounds: number[]) =>
  seconds === Infinity ? `> ${bounds.at(-2)}` : `≤ ${seconds}`
