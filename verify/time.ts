/** Event times: RFC 3339 text or an epoch number, floored to milliseconds since the epoch. */
import Big from 'big.js'

/** 0001-01-01T00:00:00.000Z and 9999-12-31T23:59:59.999Z. */
const EARLIEST = -62_135_596_800_000
const LATEST = 253_402_300_799_999

const RFC3339 = /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)?$/

/** Returns ms since the epoch; undefined when the text is not a valid time, or has no zone and none is declared. */
export function parseRfc3339(text: string, declaredZone: string | null): number | undefined {
  const match = RFC3339.exec(text)
  if (!match) return undefined
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  const zone = zoneMinutes(match[8] ?? declaredZone)
  const midnight = startOfDay(year, month, day)
  if (zone === undefined || midnight === undefined || hour > 23 || minute > 59 || second > 59) return undefined
  const fraction = Number((match[7] ?? '').slice(0, 3).padEnd(3, '0'))
  return inRange(midnight + ((hour * 60 + minute - zone) * 60 + second) * 1000 + fraction)
}

/** Returns minutes east of UTC; undefined without a zone or with an invalid one. */
function zoneMinutes(zone: string | null): number | undefined {
  if (zone === null) return undefined
  if (/^(Z|z|UTC)$/.test(zone)) return 0
  const [hours, minutes] = [Number(zone.slice(1, 3)), Number(zone.slice(4))]
  if (hours > 23 || minutes > 59) return undefined
  return (zone[0] === '-' ? -1 : 1) * (hours * 60 + minutes)
}

function startOfDay(year: number, month: number, day: number): number | undefined {
  // Date.UTC would treat years below 100 as 19xx.
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  const exists = date.getUTCMonth() === month - 1 && date.getUTCDate() === day
  return exists ? date.getTime() : undefined
}

const IN_MILLISECONDS = { s: '1000', ms: '1', us: '0.001', ns: '0.000001' }

/** Returns ms since the epoch for a JSON number in the declared unit; undefined outside years 0001 to 9999. */
export function parseEpoch(text: string, unit: keyof typeof IN_MILLISECONDS): number | undefined {
  const exact = new Big(text).times(IN_MILLISECONDS[unit])
  if (exact.e > 20) return undefined
  const truncated = exact.round(0, Big.roundDown)
  return inRange(truncated.gt(exact) ? truncated.toNumber() - 1 : truncated.toNumber())
}

function inRange(time: number): number | undefined {
  // Adding 0 turns a negative zero into zero.
  return time >= EARLIEST && time <= LATEST ? time + 0 : undefined
}
