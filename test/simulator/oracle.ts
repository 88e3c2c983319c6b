/** Sections 5 to 7 of the contract in the simplest code, computed from what the sales mean, not from their bytes. */
import type { Intent, Visible } from './log.ts'
import type { Knobs } from './scenario.ts'

export type Expected = {
  /** "aggregation|window start|category" → measures. */
  rows: Map<string, { orders: number; cents: number; smallest: number; largest: number }>
  /** "aggregation|partition|offset" → missed window starts. */
  late: Map<string, number[]>
  /** "partition|offset" → reason. */
  dead: Map<string, string>
  /** "partition|offset" */
  raw: Set<string>
  duplicates: number
  accepted: number
}

type Sale = Exclude<Intent, { dead: string }>

/** In the order of the spec. */
export const AGGREGATIONS = [
  { name: 'by_category', size: 10_000, slide: 10_000, grouped: true },
  { name: 'sliding', size: 12_000, slide: 4_000, grouped: false },
  { name: 'totals', size: null, slide: null, grouped: true },
  { name: 'extra', size: 10_000, slide: 10_000, grouped: false },
]

/** `sourcesSince`: the offset from which on the setting `sources` has been the same as now. */
type Settings = Knobs & { sourcesSince: number }

/** Returns the expected rows of a log. `knobsAt` returns the settings in force for a record. */
export function expect(logs: Visible[][], knobsAt: (partition: number, offset: number) => Settings): Expected {
  const expected: Expected = {
    rows: new Map(),
    late: new Map(),
    dead: new Map(),
    raw: new Set(),
    duplicates: 0,
    accepted: 0,
  }
  logs.forEach((log, partition) => {
    expectPartition(log, partition, offset => knobsAt(partition, offset), expected)
  })
  return expected
}

function expectPartition(
  log: Visible[],
  partition: number,
  knobsAt: (offset: number) => Settings,
  expected: Expected,
): void {
  let max = Number.NEGATIVE_INFINITY
  const sightings = new Map<string, number>() // id → M at its last sighting, oldest sighting first
  for (const { offset, intent } of log) {
    if ('dead' in intent) {
      expected.dead.set(`${partition}|${offset}`, intent.dead)
      continue
    }
    const knobs = knobsAt(offset)
    const leading = knobs.sources === null ? max : agreedTime(log, offset, knobs.sources, knobs.sourcesSince)
    const watermark = leading - knobs.outOfOrderness
    max = Math.max(max, intent.time)
    for (const [id, seenAt] of sightings) if (max - seenAt > knobs.horizon) sightings.delete(id)
    keepNewest(sightings, knobs.maxIds)
    const duplicate = sightings.delete(intent.id)
    sightings.set(intent.id, max)
    keepNewest(sightings, knobs.maxIds) // an id forgotten under one version stays forgotten under the next
    if (duplicate) {
      expected.duplicates++
      continue
    }
    expected.accepted++
    if (!accept(intent, `${partition}|${offset}`, watermark, knobs, expected)) continue
    expected.raw.add(`${partition}|${offset}`)
  }
}

/** Returns the event time that `atLeast` categories have reached with the records in [since, before). */
function agreedTime(log: Visible[], before: number, atLeast: number, since: number): number {
  const latest = new Map<string, number>()
  for (const { offset, intent } of log) {
    if (offset < since || offset >= before || 'dead' in intent) continue
    latest.set(intent.category, Math.max(intent.time, latest.get(intent.category) ?? intent.time))
  }
  return [...latest.values()].sort((a, b) => b - a)[atLeast - 1] ?? Number.NEGATIVE_INFINITY
}

function keepNewest(sightings: Map<string, number>, count: number): void {
  for (const id of sightings.keys()) if (sightings.size > count) sightings.delete(id)
}

/** Adds a sale to its open windows. Returns false when the sale is late for every aggregation. */
function accept(sale: Sale, place: string, watermark: number, knobs: Knobs, expected: Expected): boolean {
  let counted = false
  for (const { name, size, slide, grouped } of AGGREGATIONS) {
    if (name === 'extra' && !knobs.extra) continue
    const missed: number[] = []
    for (const [start, end] of windowsOf(sale.time, size, slide)) {
      if (end + knobs.allowedLateness <= watermark) missed.push(start)
      else {
        counted = true
        addTo(expected, `${name}|${start}|${grouped ? sale.category : ''}`, sale.cents)
      }
    }
    if (missed.length > 0) expected.late.set(`${name}|${place}`, missed)
  }
  return counted
}

function windowsOf(time: number, size: number | null, slide: number | null): [start: number, end: number][] {
  if (size === null || slide === null) return [[Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]]
  const windows: [number, number][] = []
  for (let start = Math.floor((time - size) / slide) * slide; start <= time; start += slide)
    if (start <= time && time < start + size) windows.push([start, start + size])
  return windows
}

function addTo(expected: Expected, key: string, cents: number): void {
  const row = expected.rows.get(key) ?? { orders: 0, cents: 0, smallest: cents, largest: cents }
  row.orders++
  row.cents += cents
  row.smallest = Math.min(row.smallest, cents)
  row.largest = Math.max(row.largest, cents)
  expected.rows.set(key, row)
}

/** An entry of the spec history: the settings in force from an offset on. */
export type Entry = { from: number; knobs: Knobs }

/** Returns whether a window may lack records of `extra`, which was not in the spec all the time (section 5). */
export function partialWindows(logs: Visible[][], histories: Entry[][]): (start: number, end: number) => boolean {
  const lacking = logs.flatMap((log, partition) => lackingTimes(log, histories[partition]!))
  return (start, end) => lacking.some(({ after, until }) => end > after && start <= until)
}

function lackingTimes(log: Visible[], history: Entry[]): { after: number; until: number }[] {
  const latestBefore = (offset: number) =>
    Math.max(...log.flatMap(v => (v.offset < offset && 'time' in v.intent ? v.intent.time : Number.NEGATIVE_INFINITY)))
  return history.flatMap(({ from, knobs }, i) => {
    if (!knobs.extra || i === 0 || history[i - 1]!.knobs.extra) return []
    const last = history.slice(0, i).findLastIndex(entry => entry.knobs.extra)
    const removedAt = last < 0 ? 0 : history[last + 1]!.from
    const known = knobs.sources === null ? latestBefore(removedAt) : Number.NEGATIVE_INFINITY
    const after = known - knobs.outOfOrderness - knobs.allowedLateness
    const until = latestBefore(from)
    return Number.isFinite(until) ? [{ after, until }] : []
  })
}
