/** One seed's spec and sales: small windows, few ids and much disorder, so that every verdict occurs. */
import { parsePipeline } from '#pipeline/parse.ts'
import type { SalesPipeline } from '#pipeline/schema.ts'
import type { Random } from '#test/support/random.ts'
import type { Intent, Topic } from './log.ts'
import type { World } from './world.ts'

/** A category that the simulated database refuses: such a sale ends as a dead letter, and the stream goes on. */
export const CURSED = 'cursed'

export type Knobs = {
  outOfOrderness: number
  allowedLateness: number
  horizon: number
  maxIds: number
}

export function drawKnobs(random: Random): Knobs {
  return {
    outOfOrderness: random.pick([0, 1000, 3000]),
    allowedLateness: random.pick([0, 2000]),
    horizon: random.pick([2000, 10_000, 60_000]),
    maxIds: random.pick([5, 40, 100_000]),
  }
}

export function pipelineOf(knobs: Knobs): SalesPipeline {
  const { outOfOrderness, allowedLateness, horizon, maxIds } = knobs
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
      - { name: category }
      - { name: amount, type: decimal, scale: 2 }
  window: { type: tumbling, size: 10s }
  watermark: { outOfOrderness: ${outOfOrderness}ms, idleTimeout: 2s, maxFutureSkew: 1h }
  allowedLateness: ${allowedLateness}ms
  deduplication: { horizon: ${horizon}ms, maxIds: ${maxIds} }
  raw: { table: sales_raw }
  aggregations:
    - name: by_category
      groupBy: [category]
      measures:
        - { name: orders, op: count }
        - { name: revenue, op: sum, of: amount }
        - { name: smallest, op: min, of: amount }
        - { name: largest, op: max, of: amount }
    - name: sliding
      window: { type: sliding, size: 12s, slide: 4s }
      measures: [{ name: orders, op: count }]
    - name: totals
      window: { type: none }
      groupBy: [category]
      measures: [{ name: revenue, op: sum, of: amount }]
  commit: { interval: 100ms, maxRecords: 40 }
  sinks:
    elasticsearch:
      projections: [{ aggregation: by_category, index: by-category }]
`)
}

/**
 * Sales that appear over `spanMs` of virtual time, in batches, some of them in transactions that abort. Partitions that
 * are still to come get theirs from `growsAfterMs` on.
 */
export function writeSales(world: World, topic: Topic, spanMs: number, growsAfterMs: number): void {
  const { random } = world
  topic.partitions.forEach((log, partition) => {
    const ids: string[] = []
    for (let at = partition < topic.known ? 0 : growsAfterMs; at < spanMs; at += random.int(50, 1500)) {
      const appearsAt = world.now + at
      const sales = Array.from({ length: random.int(1, 8) }, () => drawSale(random, appearsAt, partition, ids))
      const fate = random.next()
      log.append(appearsAt, sales, {
        ...(fate < 0.1 ? { transaction: 'abort' as const } : fate < 0.2 ? { transaction: 'commit' as const } : {}),
        gap: random.chance(0.1) ? random.int(1, 3) : 0,
      })
    }
  })
}

/** Each costs its partition a dozen rounds of halving and reading again. */
const CURSED_SHARE = 0.003

function cursedSale(random: Random, at: number): { intent: Intent; value: Buffer } {
  const value = Buffer.from(`{"id":"cursed-${random.next()}","at":${at},"category":"${CURSED}","amount":"1.00"}`)
  return { intent: { dead: 'store_rejected' }, value }
}

function drawSale(
  random: Random,
  appearsAt: number,
  partition: number,
  ids: string[],
): { intent: Intent; value: Buffer | null } {
  const fate = random.next()
  if (fate < 0.03) return { intent: { dead: 'tombstone' }, value: null }
  if (fate < 0.06) return { intent: { dead: 'not_json' }, value: Buffer.from('{"id": broken') }
  if (fate < 0.06 + CURSED_SHARE) return cursedSale(random, appearsAt)
  if (fate < 0.09) return { intent: { dead: 'missing_field' }, value: Buffer.from(`{"id":"x","at":${appearsAt}}`) }
  const repeated = ids.length > 0 && random.chance(0.2)
  const id = repeated ? random.pick(ids.slice(-30)) : `p${partition}-${ids.length}`
  if (!repeated) ids.push(id)
  const late = random.chance(0.1) ? random.int(0, 30_000) : random.int(0, 4000)
  const intent = {
    id,
    time: appearsAt - late,
    category: random.pick(['books', 'toys', 'games']),
    cents: random.int(-500, 99_999),
  }
  return { intent, value: Buffer.from(spell(random, intent)) }
}

/** The same sale in several spellings: the scanner's fast path and its fallback are both used. */
function spell(random: Random, sale: { id: string; time: number; category: string; cents: number }): string {
  const sign = sale.cents < 0 ? '-' : ''
  const digits = String(Math.abs(sale.cents)).padStart(3, '0')
  const amount = `${sign}${digits.slice(0, -2)}.${digits.slice(-2)}`
  const category = random.chance(0.1)
    ? `\\u00${sale.category.charCodeAt(0).toString(16)}${sale.category.slice(1)}`
    : sale.category
  return random.chance(0.5)
    ? `{"id":"${sale.id}","at":${sale.time},"category":"${category}","amount":"${amount}"}`
    : `{ "amount": ${amount}, "extra": {"a": [1, null]}, "category": "${category}", "at": ${sale.time}, "id": "${sale.id}" }`
}
