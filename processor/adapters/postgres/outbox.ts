/**
 * The outbox as the projector uses it. One worker at a time holds the lease, a session lock on its own connection from
 * `take` to `confirm`. So no row is locked while a sink writes, and the lock is released when the worker dies.
 */
import type pg from 'pg'
import { Retryable } from '#processor/errors.ts'
import type { Ownership, ProjectedRow, ProjectionFault, ProjectionWork, Rebuild } from '#processor/ports.ts'
import { projectionsOf } from '../projected-row.ts'
import type { Session } from './connections.ts'
import { rebuild, rebuilds, sample } from './rebuilds.ts'
import { type OutboxContext, snapshot } from './snapshot.ts'
import { projectionTarget } from './statements.ts'

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
      const work = await snapshot(this.#snapshotContext(), this.#lease!, this.#projections, limit)
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

  async beginCheck(everyMs: number): Promise<boolean> {
    const { connections, statements } = this.#context
    const { rowCount } = await connections.query(statements.beginCheck, [everyMs])
    return rowCount === 1
  }

  /** Needs no lease: a row that changes meanwhile has another version. */
  sample(): Promise<ProjectedRow[]> {
    return sample(this.#snapshotContext(), this.#projections)
  }

  rebuild(aggregations: number[]): Promise<void> {
    return rebuild(this.#context, aggregations)
  }

  rebuilds(): Promise<Rebuild[]> {
    return rebuilds(this.#context, this.#projections)
  }

  #snapshotContext() {
    const identify = (name: string) => ({ owner: this.#owner, replacing: this.#replacing.has(name) })
    return { ...this.#context, identify }
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
