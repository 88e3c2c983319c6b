/** The outbox in memory, as the projector uses it. */
import { Retryable } from '#processor/errors.ts'
import type { ProjectedRow, ProjectionFault, ProjectionWork } from '#processor/ports.ts'
import { documentIds, type Identification, projectedRow, projectionsOf } from '../projected-row.ts'
import { aggregationIndex, type MemoryEntry, rowKey, storedRow } from './database.ts'
import type { MemoryStoreOptions } from './options.ts'

/** How long PostgreSQL would take to notice that a projector's connection is dead, ms. */
const LEASE_MS = 10_000

export class MemoryOutbox {
  readonly #options: MemoryStoreOptions
  readonly #indices: Map<string, string>

  constructor(options: MemoryStoreOptions) {
    this.#options = options
    this.#indices = projectionsOf(options.compiled)
  }

  take(limit: number): ProjectionWork | null {
    const { database, now } = this.#options
    if (database.lease && database.lease.holder !== this && database.lease.until > now()) return null
    database.lease = { holder: this, until: now() + LEASE_MS }
    const entries: MemoryEntry[] = []
    let rows = 0
    for (const entry of this.#waiting()) {
      if (rows >= limit) break
      entries.push(entry)
      rows += entry.keys.length
    }
    if (entries.length > 0)
      return {
        entries: entries.map(entry => BigInt(entry.seq)),
        rows: this.#rowsOf(entries),
        traces: this.#tracesOf(entries),
      }
    this.release()
    return null
  }

  confirm(work: ProjectionWork, faults: ProjectionFault[]): void {
    const { database } = this.#options
    if (database.lease?.holder !== this)
      throw new Retryable(
        'this worker lost the lease on the outbox; the rows of its current batch will be written to Elasticsearch again',
      )
    const written = new Set(work.rows.map(({ id }) => id))
    database.projectionErrors = [...database.projectionErrors.filter(({ id }) => !written.has(id)), ...faults]
    const done = new Set(work.entries)
    database.outbox = database.outbox.filter(entry => !done.has(BigInt(entry.seq)))
    this.release()
  }

  pending(): number {
    return this.#waiting().reduce((sum, entry) => sum + entry.keys.length, 0)
  }

  release(): void {
    const { database } = this.#options
    if (database.lease?.holder === this) database.lease = null
  }

  #waiting(): MemoryEntry[] {
    const { outbox, aggregations } = this.#options.database
    return outbox.filter(
      ({ aggregation }) =>
        this.#indices.has(aggregation) && aggregations.get(aggregation)!.projection === this.#indices.get(aggregation),
    )
  }

  #tracesOf(entries: MemoryEntry[]): ProjectionWork['traces'] {
    const { compiled } = this.#options
    return entries.flatMap(({ aggregation: name, traces }) =>
      traces.map(traceparent => ({ aggregation: aggregationIndex(compiled, name), traceparent })),
    )
  }

  /** Returns each row once, with the version of the newest tombstone that lists it. */
  #rowsOf(entries: MemoryEntry[]): ProjectedRow[] {
    const newest = new Map<string, MemoryEntry & { key: MemoryEntry['keys'][number] }>()
    for (const entry of entries)
      for (const key of entry.keys) {
        const id = JSON.stringify([entry.aggregation, rowKey(key.windowStart, key.keys)])
        const removedVersion = entry.removedVersion ?? newest.get(id)?.removedVersion ?? null
        newest.set(id, { ...entry, removedVersion, key })
      }
    return [...newest.values()].flatMap(entry => this.#projected(entry.aggregation, entry.key, entry) ?? [])
  }

  #projected(name: string, key: MemoryEntry['keys'][number], entry: MemoryEntry): ProjectedRow | null {
    const { database, compiled } = this.#options
    const aggregation = aggregationIndex(compiled, name)
    const row = database.tables.get(name)!.get(rowKey(key.windowStart, key.keys))
    const identification: Identification = { owner: database.owner, replacing: false }
    if (row)
      return projectedRow(compiled, aggregation, storedRow(compiled.aggregations[aggregation]!, row), identification)
    if (entry.removedVersion === null) return null // the row was deleted; the entry with its tombstone comes later
    const version = BigInt(entry.removedVersion)
    const ids = documentIds(identification, name, key)
    return { aggregation, ...ids, version, document: null, updatedAt: entry.createdAt }
  }
}
