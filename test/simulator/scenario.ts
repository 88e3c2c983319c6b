/** Spec and sales of one seed: small windows, few ids and much disorder, so that every verdict occurs. */
import { parsePipeline } from '#pipeline/parse.ts'
import type { SalesPipeline } from '#pipeline/schema.ts'
import type { Random } from '#test/support/random.ts'
import type { Intent, Line, Sale, Topic } from './log.ts'
import type { World } from './world.ts'

/** A category that the simulated database rejects: its sales become dead letters, and processing continues. */
export const REJECTED_CATEGORY = 'rejected'

export type Knobs = {
  outOfOrderness: number
  allowedLateness: number
  horizon: number
  maxIds: number
  /** Whether the spec has the aggregation `extra`. */
  extra: boolean
  /** Number of categories that must agree on the watermark; null: one event moves it. */
  sources: number | null
}

export function drawKnobs(random: Random, extra: boolean): Knobs {
  return {
    outOfOrderness: random.pick([0, 1000, 3000]),
    allowedLateness: random.pick([0, 2000]),
    horizon: random.pick([2000, 10_000, 60_000]),
    maxIds: random.pick([5, 40, 100_000]),
    extra,
    sources: random.pick([null, 2, 3]),
  }
}

export function pipelineOf(knobs: Knobs): SalesPipeline {
  const { outOfOrderness, allowedLateness, horizon, maxIds, extra, sources } = knobs
  const added =
    '    - { name: extra, measures: [{ name: lines, op: count }, { name: orders, op: count, of: events }] }\n'
  const agreeing = sources === null ? '' : `, sources: { field: store, atLeast: ${sources} }`
  return parsePipeline(`
apiVersion: salespipeline.dev/v1alpha1
kind: SalesPipeline
metadata: { name: simulated }
spec:
  source: { topic: sales }
  event:
    id: id
    time: { path: at, format: epoch, unit: ms }
    fields:
      - { name: store }
      - { name: total, type: decimal, scale: 2 }
    explode:
      path: lines
      fields: [{ name: category }, { name: amount, type: decimal, scale: 2 }]
  window: { type: tumbling, size: 10s }
  watermark: { outOfOrderness: ${outOfOrderness}ms, idleTimeout: 2s, maxFutureSkew: 1h${agreeing} }
  allowedLateness: ${allowedLateness}ms
  deduplication: { horizon: ${horizon}ms, maxIds: ${maxIds} }
  raw: { table: sales_raw }
  aggregations:
    - name: by_category
      groupBy: [category]
      measures:
        - { name: lines, op: count }
        - { name: orders, op: count, of: events }
        - { name: revenue, op: sum, of: amount }
        - { name: smallest, op: min, of: amount }
        - { name: largest, op: max, of: amount }
        - { name: totals, op: sum, of: total, per: events }
    - name: sliding
      window: { type: sliding, size: 12s, slide: 4s }
      measures: [{ name: lines, op: count }, { name: orders, op: count, of: events }]
    - name: totals
      window: { type: none }
      groupBy: [category]
      measures: [{ name: revenue, op: sum, of: amount }]
${extra ? added : ''}  commit: { interval: 100ms, maxRecords: 40 }
  sinks:
    elasticsearch:
      projections: [{ aggregation: by_category, index: by-category }]
`)
}

/**
 * Writes sales that appear over `spanMs` of virtual time, in batches, some of them in transactions that abort. Partitions
 * that are added later get their sales from `growsAfterMs` on. `longShare`: share of sales with many lines.
 */
export function writeSales(world: World, topic: Topic, spanMs: number, growsAfterMs: number, longShare: number): void {
  const { random } = world
  topic.partitions.forEach((log, partition) => {
    const ids: string[] = []
    for (let at = partition < topic.known ? 0 : growsAfterMs; at < spanMs; at += random.int(50, 1500)) {
      const appearsAt = world.now + at
      const sales = Array.from({ length: random.int(1, 8) }, () =>
        drawSale(random, appearsAt, partition, ids, longShare),
      )
      const draw = random.next()
      log.append(appearsAt, sales, {
        ...(draw < 0.1 ? { transaction: 'abort' as const } : draw < 0.2 ? { transaction: 'commit' as const } : {}),
        gap: random.chance(0.1) ? random.int(1, 3) : 0,
      })
    }
  })
}

/** Small, because each rejected sale costs its partition a dozen rounds of bisection and re-reading. */
const REJECTED_SHARE = 0.003

function rejectedSale(random: Random, at: number): { intent: Intent; value: Buffer } {
  const lines = [...drawLines(random, 0.5), { category: REJECTED_CATEGORY, cents: 100 }]
  const value = Buffer.from(encodeSale(random, { id: `rejected-${random.next()}`, time: at, store: 'north', lines }))
  return { intent: { dead: 'store_rejected', time: at, lines }, value }
}

function drawLines(random: Random, longShare: number): Line[] {
  const length = random.chance(longShare) ? random.int(20, 40) : random.chance(0.2) ? random.int(2, 4) : 1
  return Array.from({ length }, () => ({
    category: random.pick(['books', 'toys', 'games']),
    cents: random.int(-500, 99_999),
  }))
}

export const totalOf = (lines: Line[]) => lines.reduce((sum, { cents }) => sum + cents, 0)

function drawSale(
  random: Random,
  appearsAt: number,
  partition: number,
  ids: string[],
  longShare: number,
): { intent: Intent; value: Buffer | null } {
  const draw = random.next()
  if (draw < 0.03) return { intent: { dead: 'tombstone' }, value: null }
  if (draw < 0.06) return { intent: { dead: 'not_json' }, value: Buffer.from('{"id": broken') }
  if (draw < 0.06 + REJECTED_SHARE) return rejectedSale(random, appearsAt)
  if (draw < 0.09) return { intent: { dead: 'missing_field' }, value: Buffer.from(`{"id":"x","at":${appearsAt}}`) }
  const repeated = ids.length > 0 && random.chance(0.2)
  const id = repeated ? random.pick(ids.slice(-30)) : `p${partition}-${ids.length}`
  if (!repeated) ids.push(id)
  const late = random.chance(0.1) ? random.int(0, 30_000) : random.int(0, 4000)
  const store = random.pick(['north', 'south', 'web'])
  const intent = { id, time: appearsAt - late, store, lines: drawLines(random, longShare) }
  return { intent, value: Buffer.from(encodeSale(random, intent)) }
}

/** Encodes a sale in one of several spellings, so that the scanner's fast path and its fallback are both used. */
function encodeSale(random: Random, { id, time, store, lines }: Sale): string {
  const items = lines.map(line => encodeLine(random, line)).join()
  const total = decimal(totalOf(lines))
  return random.chance(0.5)
    ? `{"id":"${id}","at":${time},"store":"${store}","total":"${total}","lines":[${items}]}`
    : `{ "lines": [${items}], "extra": {"a": [1, null]}, "total": ${total}, "at": ${time}, "store": "${store}", "id": "${id}" }`
}

function encodeLine(random: Random, { category, cents }: Line): string {
  const text = random.chance(0.1) ? `\\u00${category.charCodeAt(0).toString(16)}${category.slice(1)}` : category
  return random.chance(0.5)
    ? `{"category":"${text}","amount":"${decimal(cents)}"}`
    : `{ "amount": ${decimal(cents)}, "category": "${text}" }`
}

function decimal(cents: number): string {
  const digits = String(Math.abs(cents)).padStart(3, '0')
  return `${cents < 0 ? '-' : ''}${digits.slice(0, -2)}.${digits.slice(-2)}`
}
