/** Upkeep in memory: watermark → finality → retention → outbox compaction. */
import type { CompiledAggregation, CompiledSpec } from '#pipeline/compiled-spec.ts'
import type { DeadLetter } from '#processor/core/commit.ts'
import type { PipelineClock } from '#processor/ports.ts'
import { type MemoryDatabase, type MemoryEntry, type MemoryProgress, type MemoryRow, rowKey } from './database.ts'

/** More waiting entries than this are merged. */
const COMPACT_ABOVE = 1000

export function advance(database: MemoryDatabase, compiled: CompiledSpec, now: number): PipelineClock {
  advanceWatermark(database, compiled, now)
  let finalised = 0
  let removed = 0
  const everywhere = slowestEventTime(database, compiled)
  for (const aggregation of compiled.aggregations) {
    finalised += finalise(database, aggregation, now)
    removed += removeRows(database, aggregation, everywhere, now)
  }
  removed += removeRecords(database, compiled, everywhere)
  compact(database)
  return { watermark: database.watermark, finalised, removed }
}

function advanceWatermark(database: MemoryDatabase, compiled: CompiledSpec, now: number): void {
  const { outOfOrderness, idle, idleTimeout } = compiled.spec.watermark
  const awake = [...database.progress.values()].filter(row => row.idleUntil <= now)
  if (awake.length > 0) {
    const times = awake.map(leadingTimeOf(compiled))
    if (!times.includes(null)) raise(database, Math.min(...(times as number[])) - outOfOrderness)
  } else if (idle === 'advance') raise(database, now - outOfOrderness - idleTimeout)
}

/** Returns the event time that the watermark of a partition follows. */
const leadingTimeOf =
  ({ spec }: CompiledSpec) =>
  (row: MemoryProgress) =>
    spec.watermark.sources ? row.agreedTime : row.maxEventTime

function raise(database: MemoryDatabase, watermark: number): void {
  database.watermark = Math.max(database.watermark ?? Number.NEGATIVE_INFINITY, watermark)
}

/** Returns the event time that even idle partitions have passed; −Infinity while a partition has no event. */
function slowestEventTime(database: MemoryDatabase, compiled: CompiledSpec): number {
  const times = [...database.progress.values()]
    .map(leadingTimeOf(compiled))
    .map(time => time ?? Number.NEGATIVE_INFINITY)
  return Math.min(...times) - compiled.spec.watermark.outOfOrderness
}

function finalise(database: MemoryDatabase, { name, allowedLateness }: CompiledAggregation, now: number): number {
  const { watermark } = database
  if (watermark === null) return 0
  const closed = rowsOf(database, name).filter(row => !row.final && row.windowEnd + allowedLateness <= watermark)
  for (const row of closed) {
    row.final = true
    row.version = Math.max(row.version + 1, now * 1000)
    row.updatedAt = now
  }
  database.enqueue(name, closed, null, now)
  return closed.length
}

function removeRows(
  database: MemoryDatabase,
  aggregation: CompiledAggregation,
  everywhere: number,
  now: number,
): number {
  const { name, allowedLateness, retention } = aggregation
  if (retention === undefined) return 0
  const age = Math.max(retention, allowedLateness)
  const old = rowsOf(database, name).filter(row => row.final && row.windowEnd + age <= everywhere)
  for (const row of old) database.tables.get(name)!.delete(rowKey(row.windowStart, row.keys))
  database.enqueue(name, old, Math.max(...old.map(row => row.version)) + 1, now)
  return old.length
}

function removeRecords(database: MemoryDatabase, { spec }: CompiledSpec, everywhere: number): number {
  const { late, raw, dead, progress } = database
  const isOld = (time: number, retention: number | undefined) =>
    retention !== undefined && time + retention <= everywhere
  // Rejected records must stay stored while they may be read again to rebuild the deduplication set.
  const isNeeded = ({ reason, partition, offset }: DeadLetter) =>
    reason === 'store_rejected' && offset >= progress.get(partition)!.restoreOffset!
  return (
    removeWhere(late, event => isOld(event.eventTime, spec.lateEvents.retention)) +
    removeWhere(raw, sale => isOld(sale.eventTime, spec.raw?.retention)) +
    removeWhere(dead, letter => !isNeeded(letter) && isOld(letter.recordTimestamp, spec.deadLetters.retention))
  )
}

function removeWhere<T>(table: Map<string, T>, isOld: (record: T) => boolean): number {
  const before = table.size
  for (const [key, record] of table) if (isOld(record)) table.delete(key)
  return before - table.size
}

/** Merges the entries of an aggregation into one of waiting rows and one of removed rows. */
function compact(database: MemoryDatabase): void {
  for (const aggregation of database.aggregations.keys()) {
    const entries = database.outbox.filter(entry => entry.aggregation === aggregation)
    if (entries.length <= COMPACT_ABOVE) continue
    const others = database.outbox.filter(entry => entry.aggregation !== aggregation)
    const merged = mergeEntries(entries).map(entry => ({ ...entry, seq: database.nextSeq++ }))
    database.outbox = [...others, ...merged]
  }
}

function mergeEntries(entries: MemoryEntry[]): MemoryEntry[] {
  const removed = new Map<string, MemoryEntry['keys'][number]>()
  const waiting = new Map<string, MemoryEntry['keys'][number]>()
  for (const { keys, removedVersion } of entries)
    for (const key of keys) (removedVersion === null ? waiting : removed).set(rowKey(key.windowStart, key.keys), key)
  for (const key of removed.keys()) waiting.delete(key)
  const removedVersion = Math.max(...entries.map(entry => entry.removedVersion ?? 0))
  return [
    { ...entries[0]!, keys: [...waiting.values()], removedVersion: null },
    { ...entries[0]!, keys: [...removed.values()], removedVersion },
  ].filter(entry => entry.keys.length > 0)
}

function rowsOf(database: MemoryDatabase, name: string): MemoryRow[] {
  return [...(database.tables.get(name)?.values() ?? [])]
}
