/**
 * The outbox as the projector uses it. One worker at a time holds the lease, a session lock on its own connection from
 * `take` to `confirm`. So no row is locked while a sink writes, and the lock is released when the worker dies.
 */
import type pg from 'pg'
import type { CompiledSpec } from '#pipeline/compiled-spec.ts'
import { Retryable } from '#processor/errors.ts'
import type { Ownership, ProjectedRow, ProjectionFault, ProjectionWork } from '#processor/ports.ts'
import { documentIds, type Identification, projectedRow, projectionsOf } from '../projected-row.ts'
import type { AggregateStatements } from './aggregate-statements.ts'
import type { Connections, Session } from './connections.ts'
import { projectionTarget, type Statements } from './statements.ts'

export type OutboxContext = {
  connections: Connections
  statements: Statements
  aggregates: AggregateStatements[]
  compiled: CompiledSpec
  /** Names the lease. */
  schema: string
}

/** Numbers are text, so that none is rounded. `version` is null if the row was deleted. */
type SnapshotRow = {
  window_start: string
  window_end: string
  keys: string[]
  columns: string[]
  shown: string[]
  version: string | null
  final: boolean
  partial: boolean
  updated_at: string
  removed_version: string | null
  created_at: string
}

export class PostgresOutbox {
  readonly #context: OutboxContext
  readonly #lock: string
  #projections: [names: string[], targets: string[]] = [[], []]
  #owner = ''
  /** Aggregations whose rows a release up to 0.3.0 may have written under other ids. */
  #replacing = new Set<string>()
  #lease: pg.PoolClient | null = null
  /** Last known number of rows in projection_errors. If it is 0, `confirm` skips a statement. */
  #rejected = 0

  constructor(context: OutboxContext) {
    this.#context = context
    this.#lock = `sales-pipeline projector ${context.schema}`
  }

  /** Must be called before the other methods. */
  open({ owner }: Ownership, replacing: Set<string>): void {
    const ownerId = owner.slice(owner.lastIndexOf('/') + 1)
    const projections = [...projectionsOf(this.#context.compiled)]
    this.#projections = [
      projections.map(([name]) => name),
      projections.map(([, index]) => projectionTarget(index, ownerId)),
    ]
    this.#owner = owner
    this.#replacing = new Set(replacing)
  }

  /** Returns unconfirmed work again. */
  async take(limit: number): Promise<ProjectionWork | null> {
    if (!this.#lease && !(await this.#isWaiting())) {
      await this.#endReplacing() // the usual case: one query, no lease
      return null
    }
    if (!(await this.#acquire())) return null
    try {
      const identify = (name: string) => ({ owner: this.#owner, replacing: this.#replacing.has(name) })
      const work = await snapshot({ ...this.#context, identify }, this.#lease!, this.#projections, limit)
      if (!work) await this.#release()
      return work
    } catch (error) {
      this.#drop()
      throw error
    }
  }

  /**
   * Confirms only on the connection that took the work, because sequence numbers may be reused after a failover that
   * lost commits. If that connection is lost, the rows are taken again.
   */
  async confirm(work: ProjectionWork, faults: ProjectionFault[]): Promise<void> {
    const lease = this.#lease
    if (!lease)
      throw new Retryable(
        'this worker lost the lease on the outbox; the rows of its current batch will be written to Elasticsearch again',
      )
    try {
      await this.#settle(lease, work, faults)
    } catch (error) {
      this.#drop()
      throw error
    }
    this.#rejected += faults.length
    await this.#release()
  }

  async #settle(session: Session, work: ProjectionWork, faults: ProjectionFault[]): Promise<void> {
    const { statements, compiled } = this.#context
    await session.query('BEGIN ISOLATION LEVEL READ COMMITTED')
    if (this.#rejected > 0) await session.query(statements.forgetFaults, [work.rows.map(row => row.id)])
    if (faults.length > 0)
      await session.query(statements.fault, [
        faults.map(fault => compiled.aggregations[fault.aggregation]!.name),
        faults.map(fault => fault.id),
        faults.map(fault => fault.version),
        faults.map(fault => fault.error),
      ])
    await session.query(statements.confirm, [work.entries])
    await session.query('COMMIT')
  }

  async pending(): Promise<number> {
    const { connections, statements } = this.#context
    const { rows } = await connections.query<{ rows: number }>(statements.pending, this.#projections)
    return rows[0]!.rows
  }

  async rejected(): Promise<number> {
    const { connections, statements } = this.#context
    const { rows } = await connections.query<{ rows: number }>(statements.rejected)
    this.#rejected = rows[0]!.rows
    return this.#rejected
  }

  /** Releases the lease, so that another worker need not wait until the server notices. */
  async close(): Promise<void> {
    await this.#release()
  }

  async #isWaiting(): Promise<boolean> {
    const { connections, statements } = this.#context
    const { rows } = await connections.query<{ waiting: boolean }>(statements.waiting, this.#projections)
    return rows[0]!.waiting
  }

  async #endReplacing(): Promise<void> {
    if (this.#replacing.size === 0) return
    const { connections, statements } = this.#context
    const { rows } = await connections.query<{ name: string }>(statements.endReplacing)
    for (const { name } of rows) this.#replacing.delete(name)
  }

  async #acquire(): Promise<boolean> {
    if (this.#lease) return true
    const { connections, statements } = this.#context
    const client = await connections.checkOut()
    try {
      const { rows } = await client.query<{ held: boolean }>(statements.tryLease, [this.#lock])
      if (rows[0]!.held) this.#lease = client
      else client.release()
    } catch (error) {
      client.release(true)
      throw error
    }
    return this.#lease !== null
  }

  async #release(): Promise<void> {
    const client = this.#lease
    if (!client) return
    this.#lease = null
    try {
      await client.query(this.#context.statements.endLease, [this.#lock])
      client.release()
    } catch {
      client.release(true) // the lock ends with its connection
    }
  }

  #drop(): void {
    this.#lease?.release(true)
    this.#lease = null
  }
}

type SnapshotContext = OutboxContext & { identify(aggregation: string): Identification }

/** Reads entries and rows in one snapshot. */
async function snapshot(
  context: SnapshotContext,
  session: Session,
  projections: unknown[],
  limit: number,
): Promise<ProjectionWork | null> {
  const { statements, compiled, aggregates } = context
  await session.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
  const oldest = await session.query<{ seq: string; aggregation: string; traces: string[] | null }>(statements.oldest, [
    ...projections,
    limit,
  ])
  const entries = oldest.rows.map(row => row.seq)
  const rows: ProjectedRow[] = []
  for (const [i, { name }] of compiled.aggregations.entries()) {
    if (!oldest.rows.some(row => row.aggregation === name)) continue
    const found = await session.query<SnapshotRow>(aggregates[i]!.snapshot, [entries, name])
    rows.push(...found.rows.flatMap(row => toProjected(context, i, row) ?? []))
  }
  await session.query('COMMIT')
  const traces = oldest.rows.flatMap(({ aggregation: name, traces }) => {
    const aggregation = compiled.aggregations.findIndex(a => a.name === name)
    return (traces ?? []).map(traceparent => ({ aggregation, traceparent }))
  })
  return entries.length > 0 ? { entries: entries.map(BigInt), rows, traces } : null
}

/** Returns null if the row was deleted and the entry with its tombstone comes later. */
function toProjected(context: SnapshotContext, aggregation: number, row: SnapshotRow): ProjectedRow | null {
  const { compiled, identify } = context
  const { name } = compiled.aggregations[aggregation]!
  const windowStart = Number(row.window_start)
  if (row.version !== null) {
    const { keys, columns, shown, final, partial } = row
    const windowEnd = Number(row.window_end)
    const updatedAt = Math.floor(Number(row.updated_at))
    const version = BigInt(row.version)
    const stored = { windowStart, windowEnd, keys, columns, shown, version, final, partial, updatedAt }
    return projectedRow(compiled, aggregation, stored, identify(name))
  }
  if (row.removed_version === null) return null
  return {
    aggregation,
    ...documentIds(identify(name), name, { windowStart, keys: row.keys }),
    version: BigInt(row.removed_version),
    document: null,
    updatedAt: Math.floor(Number(row.created_at)),
  }
}
