/** Which event times an aggregation lacks, because it was not in the spec when they were counted (contract, section 5). */
import { latenessOf } from '#pipeline/lateness.ts'
import type { Spec } from '#pipeline/schema.ts'

/** One entry of a partition's spec history. */
export type Stretch = {
  fromOffset: number
  /** Greatest event time of the non-dead records before fromOffset; null: none. */
  maxEventTime: number | null
  /** False: a release up to 0.3.0 wrote the entry, so maxEventTime is not known. */
  isRecorded: boolean
  spec: Pick<Spec, 'aggregations' | 'allowedLateness' | 'watermark'>
}

/** Event times after `after`, up to and including `until`. */
export type MissingTimes = { after: number; until: number }

/**
 * `awaits`: the range ends that many ms after the event time of the partition's first non-dead record, which is not read
 * yet.
 */
export type Missing = MissingTimes | { awaits: number }

/** Returns what the aggregation lacks of a partition since it was last added to the spec. `stretches`: oldest first. */
export function missingTimes(stretches: Stretch[], aggregation: string): Missing | null {
  const settings = (stretch: Stretch) => stretch.spec.aggregations.find(({ name }) => name === aggregation)
  const isActive = (i: number) => settings(stretches[i]!) !== undefined
  let added = stretches.length - 1
  if (added < 0 || !isActive(added)) return null
  while (added > 0 && isActive(added - 1)) added--
  let removed = added
  while (removed > 0 && !isActive(removed - 1)) removed--
  const { fromOffset, isRecorded, maxEventTime, spec } = stretches[added]!
  if (!isRecorded || fromOffset === 0) return null
  const { outOfOrderness } = spec.watermark
  const isReadFromStart = stretches[0]!.fromOffset === 0
  if (maxEventTime === null) return isReadFromStart ? null : { awaits: outOfOrderness }
  const lateness = latenessOf(settings(stretches[added]!)!.allowedLateness ?? spec.allowedLateness)
  const isBounded = removed > 0 && !spec.watermark.sources
  const before = isBounded && stretches[removed]!.isRecorded ? stretches[removed]!.maxEventTime : null
  return {
    after: before === null ? Number.NEGATIVE_INFINITY : before - outOfOrderness - lateness,
    until: isReadFromStart ? maxEventTime : maxEventTime + outOfOrderness,
  }
}

/** Returns whether a window may lack records. */
export function isPartial(windowStart: number, windowEnd: number, missing: MissingTimes[]): boolean {
  return missing.some(({ after, until }) => windowStart <= until && windowEnd > after)
}
