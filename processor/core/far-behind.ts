/** Event times long before the timestamps of their records: most often, a number was read in a wrong unit. */

/** The records of one commit, with the first of them. */
export type FarBehind = {
  records: number
  partition: number
  offset: number
  eventTime: number
  recordTimestamp: number
}

/** From the smallest unit to the greatest; each is a thousand times the one before. */
const UNITS = ['ns', 'us', 'ms', 's'] as const
type Unit = (typeof UNITS)[number]

/**
 * Returns the unit in which the event's time lies within `maxPastSkew` of the record's timestamp; null if none is.
 * `read`: the unit in which it was read.
 */
export function likelyUnit({ eventTime, recordTimestamp }: FarBehind, read: Unit, maxPastSkew: number): Unit | null {
  const from = UNITS.indexOf(read)
  const fits = (_: Unit, i: number) =>
    i > from && Math.abs(eventTime * 1000 ** (i - from) - recordTimestamp) <= maxPastSkew
  return UNITS.find(fits) ?? null
}
