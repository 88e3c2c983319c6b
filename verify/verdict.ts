/** The result of the verifier, as data and as text. */
import type { Comparison } from './compare.ts'
import type { DelayReport } from './delay.ts'
import { safeLine } from './output.ts'
import type { PartitionState } from './recompute.ts'
import type { Aggregation } from './spec.ts'

export interface Verdict {
  /** True when no sale is lost or doubled, all rows are equal, there are no problems, and at least one row was compared. */
  ok: boolean
  /** Records that the journal announced, and those that the broker acknowledged; null without a journal. */
  sent: number | null
  acknowledged: number | null
  /** Records of the topic that the pipeline had to process: the sum of the next four. */
  records: number
  /** Accepted, and not late for every aggregation. */
  aggregated: number
  /** Accepted, and late for every aggregation. */
  late: number
  /** Aggregation → accepted records that missed all of their windows there (late), or some (partly). */
  latePerAggregation: Record<string, { late: number; partly: number }>
  deadLettered: number
  duplicates: number
  /** Dead letters of records that only PostgreSQL rejected: the verifier cannot predict them and trusts the table. */
  storeRejected: number
  /** Acknowledged records that are not in the topic; null without a journal. */
  lostFromLog: number | null
  /** Records of the topic that are in no journal; null without a journal. */
  foreign: number | null
  /**
   * Sales that are missing from the tables (lost) or counted too often (doubled). For an aggregation this is the sum of
   * expected lines − found lines over its rows, positive (lost) and negative (doubled) differences apart; the greatest
   * of all aggregations is reported. Lines come from a `count` or an average's count; without either, a wrong or missing
   * row counts as one lost, an extra row as one doubled. Acknowledged records that are not in the topic count as lost.
   */
  lost: number
  doubled: number
  rows: { compared: number; missing: number; extra: number; unequal: number }
  perTable: Record<string, Comparison>
  /** Number of aggregation rows marked final. */
  finalWindows: number
  /** Null without commit logs. */
  delayMs: DelayReport | null
  problems: string[]
}

/** Returns the totals over all tables. */
export function sumRows(tables: Comparison[]): Verdict['rows'] {
  const rows = { compared: 0, missing: 0, extra: 0, unequal: 0 }
  for (const { compared, missing, extra, unequal } of tables) {
    rows.compared += compared
    rows.missing += missing
    rows.extra += extra
    rows.unequal += unequal
  }
  return rows
}

/** Without a row to compare, the verdict is not OK, and nothing else would say why. */
export function nothingCompared({ compared }: Verdict['rows'], topic: string): string[] {
  if (compared > 0) return []
  return [
    `no row was compared: the tables have no row, and topic ${topic} has no record that leads to one. Send sales first; if you did, correct the topic or the addresses of the servers`,
  ]
}

/** Returns, for each aggregation, the late and the partly late records of all partitions. */
export function sumLate(states: PartitionState[], aggregations: Aggregation[]): Verdict['latePerAggregation'] {
  const sum = (name: string, counter: 'late' | 'partly_late') =>
    states.reduce((total, state) => total + (state.aggregations.get(name)?.[counter] ?? 0), 0)
  return Object.fromEntries(
    aggregations.map(({ name }) => [name, { late: sum(name, 'late'), partly: sum(name, 'partly_late') }]),
  )
}

/** Returns the verdict as text: a few lines, and one per table. */
export function renderVerdict(verdict: Verdict): string {
  const { rows, delayMs } = verdict
  return [
    verdict.ok ? 'OK: the tables match the topic exactly' : 'NOT OK: see the differences and problems below',
    line('journal', journalText(verdict)),
    line(
      'topic',
      `${n(verdict.records)} records = ${n(verdict.aggregated)} aggregated + ${n(verdict.late)} late for every aggregation + ` +
        `${n(verdict.deadLettered)} dead letters + ${n(verdict.duplicates)} duplicates`,
    ),
    ...lateLines(verdict),
    line('sales', `${n(verdict.lost)} lost, ${n(verdict.doubled)} counted twice`),
    line('rows', `${rowsText(rows)}; ${n(verdict.finalWindows)} final`),
    ...Object.entries(verdict.perTable).map(([name, table]) => line(`  ${name}`, rowsText(table))),
    line('delay', delayMs ? delayText(delayMs) : 'not measured: no commit logs given'),
    ...Object.entries(verdict.perTable).flatMap(([name, { examples }]) => examples.map(text => `  ${name}: ${text}`)),
    ...verdict.problems.map(problem => `  problem: ${problem}`),
  ]
    .map(safeLine)
    .join('\n')
}

/** A record can be late for one aggregation and aggregated in another: the line above counts it as aggregated. */
function lateLines({ latePerAggregation }: Verdict): string[] {
  return Object.entries(latePerAggregation)
    .filter(([, { late, partly }]) => late + partly > 0)
    .map(([name, { late, partly }]) => line(`  late for ${name}`, `${n(late)} entirely, ${n(partly)} partly`))
}

function line(label: string, text: string): string {
  return `${label.padEnd(22)} ${text}`
}

function n(count: number): string {
  return count.toLocaleString('en-US')
}

function rowsText({ compared, missing, extra, unequal }: Verdict['rows']): string {
  return `${n(compared)} compared, ${n(missing)} missing, ${n(extra)} extra, ${n(unequal)} unequal`
}

function journalText({ sent, acknowledged, lostFromLog, foreign }: Verdict): string {
  if (sent === null) return 'not compared: no journal given'
  const inTopic = `${n(lostFromLog!)} of them not in the topic, ${n(foreign!)} records in the topic but in no journal`
  return `${n(sent)} sent, ${n(acknowledged!)} acknowledged, ${inTopic}`
}

function delayText({ p50, p90, p99, max, samples, neverCommitted }: DelayReport): string {
  if (samples === 0) return 'not measured: no records in the given time range'
  const ms = (value: number | null) => (value === null ? 'never' : `${n(Math.round(value))} ms`)
  const of = `of ${n(samples)} records, ${n(neverCommitted)} never committed`
  return `p50 ${ms(p50)}, p90 ${ms(p90)}, p99 ${ms(p99)}, max ${ms(max)} (${of})`
}
