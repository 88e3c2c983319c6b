/** The live view as lines of text. Pure. */
import { printable } from '#common/output.ts'
import type { WindowTable } from './results.ts'
import { count, countOr, delayText, elapsedText, rateText, restartsText, timeText, wrap } from './text.ts'

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

export type Committed = {
  /** Events per second. */
  rate: number
  records: number
  dead: number
  duplicate: number
  /** Aggregation → events that are late for it. */
  late: Record<string, number>
  toProject: number
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
  committed: Committed | null
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
/** Indentation of wrapped lines, in characters. */
const INDENT = 4
/** How many windows of each table to show: the first number with which the view fits the terminal. */
const WINDOWS = [4, 2, 1, 0]

/**
 * Returns the lines of the view, none longer than `columns`, with fewer windows, then less of the oldest news, if all
 * would not fit into `rows`. Reasons and news are wrapped, because their ends say what to do; other lines are cut.
 */
export function renderView(shown: View, { columns, rows }: { columns: number; rows: number }): string[] {
  const view = printableIn(shown)
  const { news } = view
  const fewerWindows = WINDOWS.map(windows => layOut(view, windows, columns))
  const lessNews = news.map((_, i) => layOut({ ...view, news: news.slice(i + 1) }, 0, columns))
  const layouts = [...fewerWindows, ...lessNews]
  const lines = layouts.find(lines => lines.length <= rows) ?? layouts.at(-1)!
  return lines.slice(0, rows).map(text => cut(text, columns))
}

/** Escapes every text, before the layout counts its characters: tables and reasons quote data. */
function printableIn<T>(value: T): T {
  if (typeof value === 'string') return printable(value) as T
  if (Array.isArray(value)) return value.map(printableIn) as T
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, printableIn(inner)])) as T
}

function layOut(view: View, windows: number, columns: number): string[] {
  return [
    `${view.name} · ${view.phase} ${elapsedText(view.elapsedMs)} · Ctrl-C stops everything, a second Ctrl-C kills it`,
    '',
    ...figures(view).map(([label, text]) => line(label, text)),
    '',
    ...view.tables.flatMap(table => grid(table, windows)),
    ...view.workers.flatMap(worker => {
      const text = line(worker.name, workerText(worker))
      return worker.reasons.length > 0 ? wrap(text, columns, INDENT) : [text]
    }),
    '',
    ...view.addresses.map(([label, text]) => line(label, text)),
    ...(view.news.length > 0 ? ['', ...view.news.flatMap(text => wrap(`  ${text}`, columns, INDENT))] : []),
  ]
}

/** Returns the view as one line, for logs. Reasons are never cut. */
export function statusLine(shown: View): string {
  const view = printableIn(shown)
  const { committed, workers } = view
  const projecting = committed && committed.toProject > 0 ? `, ${count(committed.toProject)} rows to project` : ''
  const notCounted = committed ? ` (not counted: ${notCountedText(committed)})` : ''
  const restarts = workers.reduce((sum, worker) => sum + worker.restarts, 0)
  const restarted = restarts > 0 ? `, ${restartsText(restarts)} in all` : ''
  const unready = workers.filter(worker => worker.reasons.length > 0 || worker.state !== 'running')
  return (
    `${elapsedText(view.elapsedMs)} ${view.phase}: sent ${rateText(view.sending?.rate)}, ` +
    `committed ${rateText(committed?.rate)}${notCounted}, ` +
    `lag ${countOr(view.lag)}${projecting}, watermark ${watermarkText(view)}, delay ${delayText(view.delay)}, ` +
    `${workers.length - unready.length} of ${workers.length} workers ready${restarted}${unreadyText(unready)}`
  )
}

/** Names the workers once for each reason that several of them have. */
function unreadyText(unready: WorkerRow[]): string {
  const byReason = Map.groupBy(unready, ({ state, reasons }) => (reasons.length > 0 ? reasons.join('; ') : state))
  const texts = [...byReason].map(([why, workers]) => `${workers.map(({ name }) => name).join(', ')}: ${why}`)
  return texts.length > 0 ? ` (${texts.join(' | ')})` : ''
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
    rows.push(['not counted', notCountedText(committed)])
    rows.push(['to project', `${count(committed.toProject)} rows`])
  }
  return rows
}

/** A sale can be late for one aggregation and on time for another, so each with late sales is named. */
function notCountedText({ dead, duplicate, late }: Committed): string {
  const perAggregation = Object.entries(late).filter(([, events]) => events > 0)
  const lateText = perAggregation.map(([name, events]) => `${count(events)} late for ${name}`).join(', ')
  return `${count(dead)} dead letters, ${count(duplicate)} duplicates, ${lateText || '0 late'}`
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

function watermarkText({ watermark, now }: View): string {
  return watermark === null ? '–' : timeText(watermark, now)
}
