/** Sections 5 to 7 of the contract in the simplest code, computed from what the sales mean, not from their bytes. */
import type { Line, Visible } from './log.ts'
import { type Knobs, totalOf } from './scenario.ts'

/** What an aggregation may show of a group. */
export type Measures = {
  lines: number
  orders: number
  cents: number
  smallest: number
  largest: number
  /** The sum of the totals of its orders. */
  totals: number
}

export type Expected = {
  /** "aggregation|window start|category" → measures. */
  rows: Map<string, Measures>
  /** "aggregation|partition|offset" → missed window starts. */
  late: Map<string, number[]>
  /** "partition|offset" → reason. */
  dead: Map<string, string>
  /** "partition|offset|line" */
  raw: Set<string>
  duplicates: number
  accepted: number
}

type Sale = { time: number; lines: Line[]; total: number }

/** In the order of the spec. */
export const AGGREGATIONS = [
  { name: 'by_category', size: 10_000, slide: 10_000, grouped: true },
  { name: 'sliding', size: 12_000, slide: 4_000, grouped: false },
  { name: 'totals', size: null, slide: null, grouped: true },
  { name: 'extra', size: 10_000, slide: 10_000, grouped: false },
]

/** `sourcesSince`: the offset from which on the setting `sources` has been the same as now. */
type Settings = Knobs & { sourcesSince: number }

/** What the log alone does not say about a record. */
export type Circumstances = {
  /** The settings in force. */
  knobsAt: (partition: number, offset: number) => Settings
  /** How many lines were counted before the store rejected the record. */
  countedLines: (partition: number, offset: number) => number
}

/** Returns the expected rows of a log. */
export function expect(logs: Visible[][], circumstances: Circumstances): Expected {
  const expected: Expected = {
    rows: new Map(),
    late: new Map(),
    dead: new Map(),
    raw: new Set(),
    duplicates: 0,
    accepted: 0,
  }
  logs.forEach((log, partition) => {
    expectPartition(log, partition, circumstances, expected)
  })
  return expected
}

function expectPartition(
  log: Visible[],
  partition: number,
  { knobsAt, countedLines }: Circumstances,
  expected: Expected,
): void {
  let max = Number.NEGATIVE_INFINITY
  const sightings = new Map<string, number>() // id → M at its last sighting, oldest sighting first
  for (const { offset, intent } of log) {
    const knobs = knobsAt(partition, offset)
    const place = `${partition}|${offset}`
    const leading = knobs.sources === null ? max : agreedTime(log, offset, knobs.sources, knobs.sourcesSince)
    const watermark = leading - knobs.outOfOrderness
    if ('dead' in intent) {
      expected.dead.set(place, intent.dead)
      const lines = intent.lines?.slice(0, countedLines(partition, offset)) ?? []
      const whole = { time: intent.time!, lines, total: totalOf(intent.lines ?? []) }
      if (lines.length > 0) accept(whole, place, watermark, knobs, { ...expected, late: new Map() })
      continue
    }
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
    accept({ ...intent, total: totalOf(intent.lines) }, place, watermark, knobs, expected)
  }
}

/** Returns the event time that `atLeast` stores have reached with the records in [since, before). */
function agreedTime(log: Visible[], before: number, atLeast: number, since: number): number {
  const latest = new Map<string, number>()
  for (const { offset, intent } of log) {
    if (offset < since || offset >= before || 'dead' in intent) continue
    latest.set(intent.store, Math.max(intent.time, latest.get(intent.store) ?? intent.time))
  }
  return [...latest.values()].sort((a, b) => b - a)[atLeast - 1] ?? Number.NEGATIVE_INFINITY
}

function keepNewest(sightings: Map<string, number>, count: number): void {
  for (const id of sightings.keys()) if (sightings.size > count) sightings.delete(id)
}

/** Adds a sale to its open windows, and to the raw rows unless it is late for every aggregation. */
function accept(sale: Sale, place: string, watermark: number, knobs: Knobs, expected: Expected): void {
  let counted = false
  for (const { name, size, slide, grouped } of AGGREGATIONS) {
    if (name === 'extra' && !knobs.extra) continue
    const missed: number[] = []
    for (const [start, end] of windowsOf(sale.time, size, slide)) {
      if (end + knobs.allowedLateness <= watermark) missed.push(start)
      else {
        counted = true
        addTo(expected, category => `${name}|${start}|${grouped ? category : ''}`, sale)
      }
    }
    if (missed.length > 0) expected.late.set(`${name}|${place}`, missed)
  }
  if (counted) for (const line of sale.lines.keys()) expected.raw.add(`${place}|${line}`)
}

function windowsOf(time: number, size: number | null, slide: number | null): [start: number, end: number][] {
  if (size === null || slide === null) return [[Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]]
  const windows: [number, number][] = []
  for (let start = Math.floor((time - size) / slide) * slide; start <= time; start += slide)
    if (start <= time && time < start + size) windows.push([start, start + size])
  return windows
}

function addTo({ rows }: Expected, keyOf: (category: string) => string, { lines, total }: Sale): void {
  const touched = new Set<string>()
  for (const { category, cents } of lines) {
    const key = keyOf(category)
    const row = rows.get(key) ?? { lines: 0, orders: 0, cents: 0, smallest: cents, largest: cents, totals: 0 }
    row.lines++
    row.cents += cents
    row.smallest = Math.min(row.smallest, cents)
    row.largest = Math.max(row.largest, cents)
    if (!touched.has(key)) {
      row.orders++
      row.totals += total
    }
    touched.add(key)
    rows.set(key, row)
  }
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
    Math.max(
      ...log.flatMap(v => (v.offset < offset && !('dead' in v.intent) ? v.intent.time : Number.NEGATIVE_INFINITY)),
    )
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
