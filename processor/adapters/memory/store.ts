/**
 * The ports Store and Outbox in memory. It behaves like the PostgreSQL store: one contract suite runs against both. It
 * is deterministic: no timers, no clock but `now`, and every method takes effect in one synchronous step.
 */
import { START_OVER } from '#pipeline/start-over.ts'
import type { Claim, Progress, SpecSegment } from '#processor/core/claim.ts'
import type { AggregateRows, Commit, PartitionCommit } from '#processor/core/commit.ts'
import { isPartial } from '#processor/core/gaps.ts'
import { mergeAmount } from '#processor/core/merge.ts'
import { noCounters } from '#processor/core/pending.ts'
import { windowEnd } from '#processor/core/window.ts'
import { Fatal, Fenced, Rejected } from '#processor/errors.ts'
import type {
  Opened,
  Outbox,
  Ownership,
  PipelineClock,
  ProjectedRow,
  ProjectionFault,
  ProjectionWork,
  Rebuild,
  Store,
  Topic,
} from '#processor/ports.ts'
import { projectionsOf } from '../projected-row.ts'
import { type MemoryProgress, type MemoryRow, progressOf, rowKey } from './database.ts'
import { MemoryGaps } from './gaps.ts'
import type { MemoryStoreOptions } from './options.ts'
import { MemoryOutbox } from './outbox.ts'
import { advance } from './upkeep.ts'

export class MemoryStore implements Store, Outbox {
  readonly #options: MemoryStoreOptions
  readonly #outbox: MemoryOutbox
  readonly #gaps: MemoryGaps
  #generation = 0
  #ownership: Ownership | null = null

  constructor(options: MemoryStoreOptions) {
    this.#options = options
    this.#outbox = new MemoryOutbox(options)
    this.#gaps = new MemoryGaps(options)
  }

  async open(topic: Topic): Promise<Opened> {
    const { database } = this.#options
    if (database.topicId !== null && database.topicId !== topic.topicId)
      throw new Fatal(
        'TopicReplaced',
        `the stored results come from the topic with id ${database.topicId}, but the topic now has id ${topic.topicId}; ${START_OVER}`,
      )
    this.#refuseChangedAggregations()
    database.topicId = topic.topicId
    this.#generation = this.#registerSpec()
    this.#createTables()
    database.firstPartitions ??= topic.partitions
    const { firstPartitions, watermark } = database
    for (let partition = 0; partition < topic.partitions; partition++)
      database.addPartition(partition, partition < firstPartitions ? null : 0)
    this.#ownership = { owner: database.owner, inherited: [] }
    return { generation: this.#generation, ownership: this.#ownership, firstPartitions, watermark }
  }

  ownership(): Ownership | null {
    return this.#ownership
  }

  #refuseChangedAggregations(): void {
    const { database, compiled } = this.#options
    for (const { name, identity } of compiled.aggregations)
      if ((database.aggregations.get(name)?.identity ?? identity) !== identity)
        throw new Fatal('AggregationChanged', `aggregation ${name} has changed: give it a new name, or ${START_OVER}`)
  }

  #registerSpec(): number {
    const { database, specIdentity: identity, pipelineJson: document } = this.#options
    if (database.specs.at(-1)?.identity !== identity)
      database.specs.push({ generation: database.generation + 1, identity, document })
    return database.generation
  }

  #createTables(): void {
    const { database, compiled, now } = this.#options
    for (const { name, identity } of compiled.aggregations) {
      if (database.aggregations.has(name)) continue
      database.aggregations.set(name, { identity, projection: null, rebuildRows: null, incomplete: [] })
      database.tables.set(name, new Map())
    }
    const projections = projectionsOf(compiled)
    for (const [name, aggregation] of database.aggregations) {
      const index = projections.get(name) ?? null
      if (aggregation.projection === index) continue
      aggregation.projection = index
      aggregation.rebuildRows = null
      database.outbox = database.outbox.filter(entry => entry.aggregation !== name)
      database.enqueue(name, [...database.tables.get(name)!.values()], null, now())
    }
  }

  async claim(partition: number, start: number): Promise<Claim> {
    const { database, newToken, specIdentity } = this.#options
    const row = database.progress.get(partition)
    if (!row || database.generation !== this.#generation || database.specs.at(-1)!.identity !== specIdentity)
      throw new Fatal(
        'GenerationOutdated',
        `partition ${partition}: this worker runs generation ${this.#generation} of the spec, but the store has generation ${database.generation}; restart the worker with the current spec`,
      )
    row.epoch++
    row.token = newToken()
    row.generation = this.#generation
    row.idleUntil = Number.NEGATIVE_INFINITY
    row.firstOffset ??= start
    row.nextOffset ??= start
    row.restoreOffset ??= start
    if (row.nextLine === 0) this.#noteGeneration(partition, row.nextOffset, row.maxEventTime)
    this.#gaps.claimed(partition)
    const from = row.restoreOffset
    const rejectedOffsets = [...database.dead.values()]
      .filter(d => d.partition === partition && d.reason === 'store_rejected' && d.offset >= from)
      .map(d => d.offset)
      .sort((a, b) => a - b)
    const segments = this.#segments(partition, from)
    const finishesRecord = segments.at(-1)!.generation !== this.#generation
    return { ...progressOf(row), segments, finishesRecord, rejectedOffsets }
  }

  #noteGeneration(partition: number, fromOffset: number, maxEventTime: number | null): void {
    const { specHistory } = this.#options.database
    const last = specHistory.findLast(h => h.partition === partition)
    if (last?.generation === this.#generation) return
    const entry = { partition, fromOffset, generation: this.#generation, maxEventTime }
    if (last?.fromOffset === fromOffset) Object.assign(last, entry)
    else specHistory.push(entry)
  }

  #segments(partition: number, restoreOffset: number): SpecSegment[] {
    const { specHistory, specs } = this.#options.database
    const history = specHistory.filter(h => h.partition === partition)
    const first = history.findLastIndex(h => h.fromOffset <= restoreOffset)
    return history.slice(Math.max(first, 0)).map(({ fromOffset, generation }) => ({
      fromOffset,
      generation,
      specJson: specs.find(s => s.generation === generation)!.document,
    }))
  }

  async positions(): Promise<Map<number, number | null>> {
    return new Map([...this.#options.database.progress.values()].map(row => [row.partition, row.nextOffset]))
  }

  async commit(commit: Commit): Promise<void> {
    const rows = commit.partitions.map(partition => this.#ownedRow(partition))
    const records = this.#records(commit)
    refuseUnstorable(commit)
    commit.partitions.forEach((partition, i) => {
      this.#advanceRow(rows[i]!, partition)
    })
    for (const partition of commit.partitions) this.#gaps.committed(partition)
    for (const aggregate of commit.aggregates) this.#addRows(aggregate, commit.traces)
    for (const { table, key, record } of records) table.set(key, record)
  }

  /** Returns late events, dead letters and raw sales with their keys. Throws Rejected when one is already stored. */
  #records({ late, dead, raw }: Commit): { table: Map<string, unknown>; key: string; record: unknown }[] {
    const { database, compiled } = this.#options
    const at = ({ partition, offset }: { partition: number; offset: number }) => `${partition}|${offset}`
    const records = [
      ...late.map(event => ({
        table: database.late,
        key: `${at(event)}|${compiled.aggregations[event.aggregation]!.name}`,
        record: { ...event, missed: event.missed.toSorted((a, b) => a - b) },
      })),
      ...dead.map(letter => ({ table: database.dead, key: at(letter), record: letter })),
      ...raw.map(sale => ({ table: database.raw, key: `${at(sale)}|${sale.line}`, record: sale })),
    ]
    for (const { table, key } of records) if (table.has(key)) throw new Rejected(`${key} is already stored`)
    return records
  }

  #ownedRow(commit: PartitionCommit): MemoryProgress {
    const row = this.#options.database.progress.get(commit.partition)
    const { epoch, token, fromOffset, fromLine } = commit
    const isOwned = row?.epoch === epoch && row.token === token
    if (!isOwned || row.nextOffset !== fromOffset || row.nextLine !== fromLine)
      throw new Fenced(
        `partition ${commit.partition}: commit refused, because the stored epoch, token or offset differs from that of the commit`,
      )
    return row
  }

  #advanceRow(row: MemoryProgress, commit: PartitionCommit): void {
    const { nextOffset, nextLine, restoreOffset, restoreMaxEventTime, maxEventTime } = commit
    const { agreedTime, sources, leaderEpoch } = commit
    Object.assign(row, { nextOffset, nextLine, restoreOffset, restoreMaxEventTime, maxEventTime })
    Object.assign(row, { agreedTime, sources, leaderEpoch })
    row.idleUntil = Number.NEGATIVE_INFINITY
    addCounters(row.counters, commit.counters)
    commit.aggregations.forEach((counters, i) => {
      const { name } = this.#options.compiled.aggregations[i]!
      row.aggregations.set(name, addCounters(row.aggregations.get(name) ?? noCounters(), counters))
    })
  }

  #addRows(rows: AggregateRows, traces: string[]): void {
    const { database, compiled, now } = this.#options
    const aggregation = compiled.aggregations[rows.aggregation]!
    const table = database.tables.get(aggregation.name)!
    const touched = rows.windowStart.map((start, i) => {
      const keys = rows.keys.map(column => column[i]!)
      const id = rowKey(start, keys)
      const end = windowEnd(aggregation.window, start)
      const closed = database.watermark !== null && end + aggregation.allowedLateness <= database.watermark
      const partial = isPartial(start, end, database.aggregations.get(aggregation.name)!.incomplete)
      const row: MemoryRow = table.get(id) ?? newRow(start, end, keys, partial)
      aggregation.columns.forEach(({ merge }, c) => {
        row.columns[c] = mergeAmount(merge, row.columns[c], rows.columns[c]![i]!)
      })
      row.version = Math.max(row.version + 1, now() * 1000)
      row.reopened += row.final || (closed && row.reopened === 0) ? 1 : 0
      row.final = false
      row.updatedAt = now()
      table.set(id, row)
      return row
    })
    database.enqueue(aggregation.name, touched, null, now(), traces)
  }

  async inspect(partitions: number[]): Promise<Progress[]> {
    const rows = partitions.toSorted((a, b) => a - b).map(partition => this.#options.database.progress.get(partition))
    return rows.filter(row => row !== undefined && row.nextOffset !== null).map(row => progressOf(row!))
  }

  async commitNothing(owned: { partition: number; epoch: number; token: string }[]): Promise<number[]> {
    const { progress } = this.#options.database
    const isMine = ({ partition, epoch, token }: (typeof owned)[number]) =>
      progress.get(partition)?.epoch === epoch && progress.get(partition)?.token === token
    return owned.filter(isMine).map(({ partition }) => partition)
  }

  async renewIdle(owned: { partition: number; epoch: number; token: string }[], leaseMs: number): Promise<void> {
    const { database, now } = this.#options
    for (const { partition, epoch, token } of owned) {
      const row = database.progress.get(partition)
      if (row?.epoch === epoch && row.token === token) row.idleUntil = now() + leaseMs
    }
  }

  async advance(): Promise<PipelineClock | null> {
    const { database, compiled, now } = this.#options
    return database.generation === this.#generation ? advance(database, compiled, now()) : null
  }

  async grantReaders(): Promise<null> {
    return null
  }

  async deadLetterBytes(): Promise<number> {
    return [...this.#options.database.dead.values()].reduce((sum, { payload }) => sum + (payload?.length ?? 0), 0)
  }

  async take(limit: number): Promise<ProjectionWork | null> {
    return this.#generation > 0 ? this.#outbox.take(limit) : null
  }

  async confirm(work: ProjectionWork, faults: ProjectionFault[]): Promise<void> {
    this.#outbox.confirm(work, faults)
  }

  async pending(): Promise<number> {
    return this.#outbox.pending()
  }

  async rejected(): Promise<number> {
    return this.#options.database.projectionErrors.length
  }

  async sample(): Promise<ProjectedRow[]> {
    return this.#generation > 0 ? this.#outbox.sample() : []
  }

  async beginCheck(everyMs: number): Promise<boolean> {
    return this.#generation > 0 && this.#outbox.beginCheck(everyMs)
  }

  async rebuild(aggregations: number[]): Promise<void> {
    this.#outbox.rebuild(aggregations)
  }

  async rebuilds(): Promise<Rebuild[]> {
    return this.#outbox.rebuilds()
  }

  async close(): Promise<void> {
    this.#outbox.release()
  }
}

const newRow = (windowStart: number, windowEnd: number, keys: string[], partial: boolean): MemoryRow => ({
  windowStart,
  windowEnd,
  keys,
  columns: [],
  version: 0,
  final: false,
  reopened: 0,
  partial,
  updatedAt: 0,
})

function addCounters<T extends Record<string, number>>(to: T, increments: T): T {
  for (const name of Object.keys(to) as (keyof T)[]) to[name] = (to[name]! + increments[name]!) as T[keyof T]
  return to
}

/** Throws Rejected for text that PostgreSQL cannot store. */
function refuseUnstorable({ aggregates, raw }: Commit): void {
  const texts = [...aggregates.flatMap(rows => rows.keys.flat()), ...raw.flatMap(sale => sale.values)]
  if (texts.some(text => text?.includes('\0'))) throw new Rejected('U+0000 in a text')
}
