/** Reports partitions whose watermark few records move, while it makes events late that arrive in time (contract, section 5). */
import { unsafeWatermark } from '#pipeline/future-reach.ts'
import type { Spec } from '#pipeline/schema.ts'
import type { Share } from './core/pending.ts'
import type { Lead, Support } from './core/support.ts'

/** Late events from which on a partition is reported, if they are also one of ten of its records. */
const MIN_LATE = 3
const MIN_SHARE = 0.1
/** Above this share of the records that agree or are late, the records that agree are not few. */
const MAX_AGREEING_SHARE = 0.1

/** What the monitor keeps of a commit. */
export type Stand = Pick<Support, 'jumped' | 'agreeing' | 'late' | 'latestLate'> & {
  partition: number
  records: number
  maxEventTime: number | null
  lead: Lead | null
}

export function standOf({ commit, support, lead }: Share): Stand {
  const { partition, counters, maxEventTime } = commit
  const { jumped, agreeing, late, latestLate } = support
  return { partition, records: counters.records, maxEventTime, lead, jumped, agreeing, late, latestLate }
}

/** Returns the message about the partition with the most such events, or null. `stands`: the last minute's, oldest first. */
export function farAheadMessage(stands: Stand[], spec: Spec): string | null {
  // Each commit asks, and mostly no event is late.
  const concerned = new Set(stands.filter(({ late }) => late > 0).map(({ partition }) => partition))
  const sums = new Map<number, Stand>()
  for (const stand of stands) {
    if (!concerned.has(stand.partition)) continue
    const before = sums.get(stand.partition)
    sums.set(stand.partition, before ? sum(before, stand) : stand)
  }
  const [worst] = [...sums.values()].filter(isFarAhead).sort((a, b) => b.late - a.late)
  return worst ? messageOf(worst, spec) : null
}

/** After a jump, what was counted before it says nothing about the watermark. */
function sum(before: Stand, after: Stand): Stand {
  const records = before.records + after.records
  if (after.jumped) return { ...after, records }
  return {
    ...after,
    records,
    agreeing: before.agreeing + after.agreeing,
    late: before.late + after.late,
    latestLate: Math.max(before.latestLate, after.latestLate),
    lead: after.lead ?? before.lead,
  }
}

function isFarAhead({ records, agreeing, late }: Stand): boolean {
  return late >= MIN_LATE && late >= records * MIN_SHARE && agreeing <= (agreeing + late) * MAX_AGREEING_SHARE
}

function messageOf({ partition, records, agreeing, late, latestLate, lead, maxEventTime }: Stand, spec: Spec): string {
  const newest = lead?.eventTime ?? maxEventTime!
  const where = lead ? `offset ${lead.offset}` : 'an earlier record'
  const few = agreeing === 1 ? 'only 1 record agrees' : `only ${agreeing} records agree`
  const remedy = unsafeWatermark(spec)
    ? 'raise spec.watermark.outOfOrderness to at least twice maxFutureSkew, or set spec.watermark.sources'
    : 'limit how far ahead the topic accepts timestamps (message.timestamp.after.max.ms)'
  return `partition ${partition}: ${late} of ${records} records in the last minute are late although they arrived in time, and ${few} with the watermark. It follows event time ${new Date(newest).toISOString()} of ${where}, ${seconds(newest - latestLate)} after the newest of the late ones. Correct the clock of its producer, and ${remedy}`
}

function seconds(ms: number): string {
  return `${Math.round(ms / 100) / 10} s`
}
