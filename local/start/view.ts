/** The live view as lines of text. Pure. */
import type { WindowTable } from './results.ts'

export type WorkerRow = {
  name: string
  state: string
  partitions: number
  /** Events per second. */
  rate: number
  /** 0 to 1. */
  busy: number
  restarts: number
  /** Why it is not ready, or why it exited. */
  reasons: string[]
  metrics: string
}

export type View = {
  name: string
  /** Running, draining, stopping … */
  phase: string
  elapsedMs: number
  now: number
  /** Events per second; null without a load generator. */
  sending: { rate: number; sent: number } | null
  /** Null until the workers have created the pipeline's tables. */
  committed: { rate: number; records: number; dead: number; duplicate: number; late: number; toProject: number } | null
  /** Records of the log that are not committed. */
  lag: number | null
  /** ms since the epoch. */
  watermark: number | null
  /** Delay of the slowest worker over its last 10 s, in seconds. */
  delay: { p50: number; p99: number } | null
  tables: WindowTable[]
  workers: WorkerRow[]
  /** Label and text. */
  addresses: [string, string][]
  /** Newest last. */
  news: string[]
}

const LABEL = 15
/** How many windows of each table to show: the first number with which the view fits the terminal. */
const WINDOWS = [4, 2, 1, 0]
/** Longest reason in a status line, in characters. */
const MAX_REASON_LENGTH = 160

/** Returns the lines of the view, each cut to `columns`, with fewer windows if all would not fit into `rows`. */
export function renderView(view: View, { columns, rows }: { columns: number; rows: number }): string[] {
  const sizes = WINDOWS.map(windows => layOut(view, windows))
  const lines = sizes.find(lines => lines.length <= rows) ?? sizes.at(-1)!
  return lines.slice(0, rows).map(text => cut(text, columns))
}

function layOut(view: View, windows: number): string[] {
  return [
    `${view.name} · ${view.phase} ${elapsedText(view.elapsedMs)} · Ctrl-C stops everything, a second Ctrl-C kills it`,
    '',
    ...figures(view).map(([label, text]) => line(label, text)),
    '',
    ...view.tables.flatMap(table => grid(table, windows)),
    ...view.workers.map(worker => line(worker.name, workerText(worker))),
    '',
    ...view.addresses.map(([label, text]) => line(label, text)),
    ...(view.news.length > 0 ? ['', ...view.news.map(text => `  ${text}`)] : []),
  ]
}

/** Returns the view as one line, for logs. */
export function statusLine(view: View): string {
  const { committed, workers } = view
  const projecting = committed && committed.toProject > 0 ? `, ${count(committed.toProject)} rows to project` : ''
  const unready = workers.filter(worker => worker.reasons.length > 0 || worker.state !== 'running')
  const why = unready
    .slice(0, 1)
    .map(({ name, state, reasons }) => ` (${name}: ${cut(reasons[0] ?? state, MAX_REASON_LENGTH)})`)
  const restarts = workers.reduce((sum, worker) => sum + worker.restarts, 0)
  const restarted = restarts > 0 ? `, ${restartsText(restarts)} in all` : ''
  return (
    `${elapsedText(view.elapsedMs)} ${view.phase}: sent ${rateText(view.sending?.rate)}, committed ${rateText(committed?.rate)}, ` +
    `lag ${countOr(view.lag)}${projecting}, watermark ${watermarkText(view)}, delay ${delayText(view.delay)}, ` +
    `${workers.length - unready.length} of ${workers.length} workers ready${restarted}${why}`
  )
}

function figures(view: View): [string, string][] {
  const { committed, sending } = view
  const rows: [string, string][] = [
    ['sent', sending ? `${rateText(sending.rate)}, ${count(sending.sent)} in this run` : 'no load generator'],
    ['committed', committed ? `${rateText(committed.rate)}, ${count(committed.records)} in all runs` : '–'],
    ['lag', countOr(view.lag)],
    ['watermark', watermarkText(view)],
    ['delay (10 s)', delayText(view.delay)],
  ]
  if (committed) {
    const { dead, duplicate, late, toProject } = committed
    rows.push(['not counted', `${count(dead)} dead letters, ${count(duplicate)} duplicates, ${count(late)} late`])
    rows.push(['to project', `${count(toProject)} rows`])
  }
  return rows
}

/** Lays out the newest windows. Columns are as wide as their widest cell; numbers are aligned to the right. */
function grid({ name, columns, rows: all }: WindowTable, limit: number): string[] {
  const rows = all.slice(0, limit)
  if (limit === 0) return []
  if (rows.length === 0) return [`  ${name}: no windows yet`, '']
  const cells = [[name, ...columns.slice(1)], ...rows]
  const widths = columns.map((_, i) => Math.max(...cells.map(row => row[i]!.length)))
  const isNumber = columns.map((_, i) => rows.every(row => /^-?[\d.]+$/.test(row[i]!)))
  const pad = (text: string, i: number) => (isNumber[i] ? text.padStart(widths[i]!) : text.padEnd(widths[i]!))
  return [...cells.map(row => `  ${row.map(pad).join('  ')}`.trimEnd()), '']
}

function workerText({ state, partitions, rate, busy, restarts, reasons, metrics }: WorkerRow): string {
  const restarted = restarts > 0 ? `, ${restartsText(restarts)}` : ''
  const why = reasons.length > 0 ? ` – ${reasons.join('; ')}` : ''
  if (state !== 'running') return `${state}${restarted}${why}`
  return `${partitions} partitions, ${rateText(rate)}, ${Math.round(busy * 100)}% busy${restarted}, ${metrics}${why}`
}

function line(label: string, text: string): string {
  return `  ${label.padEnd(LABEL)}${text}`
}

function cut(text: string, columns: number): string {
  return text.length <= columns ? text : `${text.slice(0, columns - 1)}…`
}

const count = (n: number) => n.toLocaleString('en-US')
const restartsText = (n: number) => `restarted ${n === 1 ? 'once' : `${n} times`}`
const countOr = (n: number | null) => (n === null ? '–' : count(n))
const rateText = (rate: number | undefined) => (rate === undefined ? '–' : `${count(Math.round(rate))}/s`)

function delayText(delay: View['delay']): string {
  const ms = (seconds: number) => `${count(Math.round(seconds * 1000))} ms`
  return delay ? `p50 ${ms(delay.p50)}, p99 ${ms(delay.p99)}` : '–'
}

function watermarkText({ watermark, now }: View): string {
  if (watermark === null) return '–'
  return `${new Date(watermark).toISOString().slice(11, 19)}Z (${((now - watermark) / 1000).toFixed(0)} s ago)`
}

/** 83000 → "1m 23s" */
function elapsedText(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  const minutes = Math.floor(seconds / 60)
  if (minutes === 0) return `${seconds}s`
  return minutes < 60 ? `${minutes}m ${seconds % 60}s` : `${Math.floor(minutes / 60)}h ${minutes % 60}m`
}
