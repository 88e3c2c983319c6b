/** The outbox as the projector uses it. No row is locked while a sink writes; see outbox-lease.ts. */
import { Retryable } from '#processor/errors.ts'
import type { Ownership, ProjectedRow, ProjectionFault, ProjectionWork, Rebuild } from '#processor/ports.ts'
import { projectionsOf } from '../projected-row.ts'
import { isFenced } from './errors.ts'
import { OutboxLease } from './outbox-lease.ts'
import { rebuild, rebuilds, sample } from './rebuilds.ts'
import { type OutboxContext, snapshot, workOf } from './snapshot.ts'
import { projectionTarget } from './statements.ts'

const LOST_LEASE =
  'this worker lost the lease on the outbox; the rows of its current batch will be written to Elasticsearch again'

export class PostgresOutbox {
  readonly #context: OutboxContext
  readonly #lease: OutboxLease
  /** Tokens of the lease, which is fenced when the work is confirmed. */
  readonly #taken = new WeakMap<ProjectionWork, string>()
  #projections: [names: string[], targets: string[]] = [[], []]
  #owner = ''
  /** Aggregations whose rows a release up to 0.3.0 may have written under other ids. */
  #replacing = new Set<string>()
  /** Last known number of rows in projection_errors. If it is 0, `confirm` skips a statement. */
  #rejected = 0

  constructor(context: OutboxContext) {
    this.#context = context
    this.#lease = new OutboxLease(context)
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
    if (!this.#lease.isHeld && !(await this.#isWaiting())) {
      await this.#endReplacing() // the usual case: one query, no lease
      return null
    }
    const taken = await this.#lease.take(session => snapshot(this.#context, session, this.#projections, limit))
    if (!taken) return null
    const work = workOf(this.#snapshotContext(), taken.result)
    if (work) this.#taken.set(work, taken.token)
    else await this.#lease.release()
    return work
  }

  /** In one round trip. Entries that are missing were merged with others since the take, and come again. */
  async confirm(work: ProjectionWork, faults: ProjectionFault[]): Promise<void> {
    const { connections, statements, compiled } = this.#context
    const forget = { text: statements.forgetFaults, values: [work.rows.map(row => row.id)] }
    const fault = {
      text: statements.fault,
      values: [
        faults.map(fault => compiled.aggregations[fault.aggregation]!.name),
        faults.map(fault => fault.id),
        faults.map(fault => fault.version),
        faults.map(fault => fault.error),
      ],
    }
    try {
      await connections.send([
        { text: statements.fenceLease, values: [this.#taken.get(work)] },
        ...(this.#rejected > 0 ? [forget] : []),
        ...(faults.length > 0 ? [fault] : []),
        { text: statements.confirm, values: [work.entries] },
      ])
    } catch (error) {
      throw isFenced(error) ? new Retryable(LOST_LEASE) : error
    }
    this.#lease.released()
    this.#rejected += faults.length
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

  /** Releases the lease. If this fails, it ends soon. */
  async close(): Promise<void> {
    await this.#lease.release().catch(() => {})
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
}
