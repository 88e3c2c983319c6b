/** What a run found: figures per fault, as a table for people and whole for programs. */
import type { Kind } from './fault-schedule.ts'
import { type Delay, delayIn, peakLag, rateIn, standstill, type Tick, type Window, worstStandstill } from './measure.ts'
import { renderVerdict, type Verdict } from './verdict.ts'

export type Figures = {
  rate: number
  standstillMs: number
  worstStandstillMs: number
  peakLag: number | null
  /** From a sale to its committed result, and from there to its document. */
  delay: Delay | null
  projection: Delay | null
}

export type Outcome = Figures & {
  round: number
  kind: Kind
  target: string
  window: Window
  bit: boolean
  /** Null: it did not recover. */
  recoveredMs: number | null
  /** Null: it bit, and everything recovered. */
  failure: string | null
}

export type Report = {
  /** Every fault bit, everything recovered, and the results are exact. */
  ok: boolean
  context: string
  namespace: string
  pipeline: string
  seed: number
  startedAt: number
  endedAt: number
  /** How it was while it was left alone. */
  calm: Figures & { window: Window }
  faults: Outcome[]
  verdict: Verdict | null
  /** Nothing was sold any more when it was judged: documents were compared as well as rows. */
  drained: boolean
  /** Why there is no verdict. */
  problem: string | null
  /** What is to be put right by hand. */
  leftBehind: string[]
  /** Of the histograms in `ticks`, seconds; null in JSON stands for infinity. */
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
  'hit',
  'recovered, s',
  'all stood still, s',
  'worst partition, s',
  'peak lag',
  'delay p50, s',
  'p99, s',
  'max, s',
  'document p99, s',
]

export function renderReport(report: Report): string {
  const { context, namespace, pipeline, seed, calm, faults, verdict, problem, leftBehind, ok, bounds, drained } = report
  const rows = [
    row(['nothing', 'left alone', ''], calm, bounds),
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
      ? ['- judged while sales went on: rows only; --stop-load has documents compared, too']
      : []),
    ...leftBehind.map(text => `- left behind: ${text}`),
    '',
    'Seen through the API server every half second. Delays are estimates within buckets; max is the bound of a bucket.',
    '',
  ].join('\n')
}

function row(about: string[], figures: Figures, bounds: number[]): string {
  const { standstillMs, worstStandstillMs, delay, projection } = figures
  const lag = figures.peakLag === null ? 'not known' : String(figures.peakLag)
  const pauses = [standstillMs, worstStandstillMs].map(renderSeconds)
  const delays = delay ? [delay.p50, delay.p99].map(renderDelay) : ['–', '–']
  const max = delay ? renderBound(delay.max, bounds) : '–'
  const documents = projection ? renderDelay(projection.p99) : '–'
  return line([...about, ...pauses, lag, ...delays, max, documents])
}

const line = (cells: string[]) => `| ${cells.join(' | ')} |`
export const renderSeconds = (ms: number | null) => (ms === null ? 'never' : (ms / 1000).toFixed(1))
const renderDelay = (seconds: number) => seconds.toFixed(seconds < 10 ? 2 : 1)
const renderBound = (seconds: number, bounds: number[]) =>
  seconds === Infinity ? `> ${bounds.at(-2)}` : `≤ ${seconds}`
