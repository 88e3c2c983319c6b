/** The outbox in memory, as the projector uses it. */
import { Retryable } from '#processor/errors.ts'
import type { ProjectedRow, ProjectionFault, ProjectionWork, Rebuild } from '#processor/ports.ts'
import { documentIds, type Identification, projectedRow, projectionsOf } from '../projected-row.ts'
import { aggregationIndex, type MemoryEntry, rowKey, storedRow } from './database.ts'
import type { MemoryStoreOptions } from './options.ts'

/** How long a projector that has disappeared keeps the lease, ms. */
const LEASE_MS = 10_000

type Removal = Pick<MemoryEntry, 'removedVersion' | 'createdAt'>
const NOT_REMOVED: Removal = { removedVersion: null, createdAt: 0 }

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

  beginCheck(everyMs: number): boolean {
    const { database, now } = this.#options
    if (now() - database.projectionCheckedAt < everyMs) return false
    database.projectionCheckedAt = now()
    return true
  }

  sample(): ProjectedRow[] {
    const { database, compiled } = this.#options
    const rejected = new Set(database.projectionErrors.map(({ id }) => id))
    const waiting = new Set(this.#rowsOf(this.#waiting()).map(({ id }) => id))
    const projected = compiled.aggregations.filter(({ name }) => this.#isCurrent(name) && !this.#isRebuilding(name))
    const rows = projected.flatMap(({ name }) =>
      [...database.tables.get(name)!.values()].flatMap(row => this.#projected(name, row, NOT_REMOVED) ?? []),
    )
    return rows.filter(({ id }) => !rejected.has(id) && !waiting.has(id))
  }

  rebuild(aggregations: number[]): void {
    const { database, compiled, now } = this.#options
    for (const aggregation of aggregations) {
      const { name } = compiled.aggregations[aggregation]!
      if (!this.#isRebuilding(name)) database.renew(name, now())
    }
  }

  /** Here a rebuild also waits for rows that commits have enqueued since it began. */
  rebuilds(): Rebuild[] {
    const { aggregations } = this.#options.database
    const rebuilding = [...aggregations].filter(([name]) => this.#isCurrent(name) && this.#isRebuilding(name))
    return rebuilding.flatMap(([name, aggregation]) => {
      const entries = this.#waiting().filter(entry => entry.aggregation === name)
      const waiting = entries.reduce((sum, { keys }) => sum + keys.length, 0)
      const rows = aggregation.rebuildRows!
      if (waiting > 0) return { index: this.#indices.get(name)!, rows, written: Math.max(0, rows - waiting) }
      aggregation.rebuildRows = null
      return []
    })
  }

  release(): void {
    const { database } = this.#options
    if (database.lease?.holder === this) database.lease = null
  }

  #waiting(): MemoryEntry[] {
    const { outbox } = this.#options.database
    return outbox.filter(({ aggregation }) => this.#isCurrent(aggregation))
  }

  /** Returns whether the aggregation has the projection that this worker's spec names. */
  #isCurrent(name: string): boolean {
    const index = this.#indices.get(name)
    return index !== undefined && this.#options.database.aggregations.get(name)!.projection === index
  }

  #isRebuilding(name: string): boolean {
    return this.#options.database.aggregations.get(name)!.rebuildRows !== null
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

  #projected(name: string, key: MemoryEntry['keys'][number], entry: Removal): ProjectedRow | null {
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
