/** The Store and Outbox ports on PostgreSQL 14 or newer (docs/semantics.md, sections 2 to 5; docs/tables.md). */
import { performance } from 'node:perf_hooks'
import type { Claim, Progress } from '#processor/core/claim.ts'
import type { Commit } from '#processor/core/commit.ts'
import { Retryable } from '#processor/errors.ts'
import type {
  Expulsions,
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
import { type AggregateStatements, aggregateStatements, rawStatements } from './aggregate-statements.ts'
import { type ClaimContext, claim, inspect } from './claim.ts'
import { commitQueries, sendCommit } from './commit.ts'
import { Connections, DEFAULT_TIMEOUTS } from './connections.ts'
import { commitNothing } from './empty-commit.ts'
import { isReadOnly, isRolledBack, storeError } from './errors.ts'
import { applicationName, applicationPrefix, type PostgresStoreOptions } from './options.ts'
import { PostgresOutbox } from './outbox.ts'
import type { Awaiting } from './partial.ts'
import { grantReaders } from './readers.ts'
import { openSchema } from './schema.ts'
import { type Statements, statementsOf } from './statements.ts'
import { advance } from './upkeep.ts'

/** How often a commit that the server rolled back, for example in a deadlock, is sent before it fails as Retryable. */
const MAX_ATTEMPTS = 4
/** The size of dead letters is summed again after this many times the duration of the last sum. */
const SUM_INTERVAL_FACTOR = 50

export function createPostgresStore(options: PostgresStoreOptions): Store & Outbox & Expulsions {
  return new PostgresStore(options)
}

/** The result of `open`, which the other calls need. */
type Open = { topicId: string; generation: number; ownership: Ownership }

class PostgresStore implements Store, Outbox, Expulsions {
  readonly #options: PostgresStoreOptions
  readonly #connections: Connections
  readonly #statements: Statements
  readonly #aggregates: AggregateStatements[]
  readonly #raw: { insert: string } | null
  readonly #outbox: PostgresOutbox
  readonly #awaiting = new Map<number, Awaiting>()
  #open: Open | null = null
  #deadLetters = { bytes: 0, validUntil: 0 }

  constructor(options: PostgresStoreOptions) {
    this.#options = options
    const { compiled, schema, connection, timeouts } = options
    this.#connections = new Connections(connection, applicationName(options), { ...DEFAULT_TIMEOUTS, ...timeouts })
    this.#statements = statementsOf(schema)
    this.#aggregates = compiled.aggregations.map(a => aggregateStatements(this.#statements, a, compiled.fields))
    this.#raw = compiled.spec.raw ? rawStatements(this.#statements, compiled.spec.raw.table, compiled.fields) : null
    this.#outbox = new PostgresOutbox(this.#shared())
  }

  open(topic: Topic): Promise<Opened> {
    return this.#guard('opening the schema', async () => {
      const { replacing, ...opened } = await this.#connections.longTransaction(session =>
        openSchema(session, this.#statements, this.#options, topic),
      )
      const { generation, ownership } = opened
      this.#outbox.open(ownership, replacing)
      this.#open = { topicId: topic.topicId, generation, ownership }
      return opened
    })
  }

  ownership(): Ownership | null {
    return this.#open?.ownership ?? null
  }

  claim(partition: number, start: number): Promise<Claim> {
    return this.#guard(`claiming partition ${partition}`, () => claim(this.#claimContext(), partition, start))
  }

  positions(): Promise<Map<number, number | null>> {
    return this.#guard('reading positions', async () => {
      const { rows } = await this.#connections.query<{ partition: number; next_offset: number | null }>(
        this.#statements.positions,
      )
      return new Map(rows.map(row => [row.partition, row.next_offset]))
    })
  }

  commit(commit: Commit): Promise<void> {
    return this.#guard('committing', async () => {
      const { topicId } = this.#opened()
      const context = { ...this.#shared(), topicId, raw: this.#raw, awaiting: this.#awaiting }
      const queries = commitQueries(context, commit)
      for (let attempt = 1; ; attempt++)
        try {
          const committer = await this.#connections.committer()
          await sendCommit(committer, this.#connections.begin(), queries, this.#statements.waitForStandby)
          break
        } catch (error) {
          if (isReadOnly(error)) await this.#connections.dropCommitter()
          if (!isRolledBack(error) || attempt === MAX_ATTEMPTS) throw error
        }
      for (const { payload } of commit.dead) this.#deadLetters.bytes += payload?.length ?? 0
    })
  }

  commitNothing(owned: { partition: number; epoch: number; token: string }[]): Promise<number[]> {
    return this.#guard('trying a commit without records', () => {
      this.#opened()
      return commitNothing({ ...this.#shared(), raw: this.#raw }, owned)
    })
  }

  inspect(partitions: number[]): Promise<Progress[]> {
    return this.#guard('reading progress', () => inspect(this.#claimContext(), partitions))
  }

  renewIdle(owned: { partition: number; epoch: number; token: string }[], leaseMs: number): Promise<void> {
    return this.#guard('renewing idle leases', async () => {
      const values = [owned.map(o => o.partition), owned.map(o => o.epoch), owned.map(o => o.token), leaseMs]
      await this.#connections.query(this.#statements.renewIdle, values)
    })
  }

  advance(): Promise<PipelineClock | null> {
    return this.#guard('advancing the watermark', () =>
      advance({ ...this.#shared(), generation: this.#opened().generation }),
    )
  }

  /** Sums from time to time, because that reads the whole table. In between it adds what this worker wrote. */
  deadLetterBytes(): Promise<number> {
    return this.#guard('measuring dead letters', async () => {
      const startedAt = performance.now()
      if (startedAt < this.#deadLetters.validUntil) return this.#deadLetters.bytes
      const { rows } = await this.#connections.query<{ bytes: number }>(this.#statements.deadLetterBytes)
      const endedAt = performance.now()
      this.#deadLetters = { bytes: rows[0]!.bytes, validUntil: endedAt + (endedAt - startedAt) * SUM_INTERVAL_FACTOR }
      return rows[0]!.bytes
    })
  }

  grantReaders(): Promise<string | null> {
    return this.#guard('granting access to readers', () => {
      this.#opened()
      const { schema, compiled } = this.#options
      const roles = compiled.spec.sinks.postgres.readers
      return grantReaders(this.#connections, this.#statements, { schema, roles })
    })
  }

  expel(member: string): Promise<void> {
    return this.#guard('recording a dead member', async () => {
      this.#opened()
      await this.#connections.query(this.#statements.expel, [member])
    })
  }

  isExpelled(member: string): Promise<boolean> {
    return this.#guard('looking up a dead member', async () => {
      const { rows } = await this.#connections.query<{ is: boolean }>(this.#statements.isExpelled, [member])
      return rows[0]!.is
    })
  }

  /** Also resolves with null before `open`, because the projector may start first. */
  take(limit: number): Promise<ProjectionWork | null> {
    return this.#guard('reading the outbox', async () => (this.#open ? this.#outbox.take(limit) : null))
  }

  confirm(work: ProjectionWork, faults: ProjectionFault[]): Promise<void> {
    return this.#guard('confirming a projection', () => this.#outbox.confirm(work, faults))
  }

  pending(): Promise<number> {
    return this.#guard('counting the outbox', async () => (this.#open ? this.#outbox.pending() : 0))
  }

  rejected(): Promise<number> {
    return this.#guard('counting rejected rows', async () => (this.#open ? this.#outbox.rejected() : 0))
  }

  beginCheck(everyMs: number): Promise<boolean> {
    return this.#guard('beginning a check', async () => (this.#open ? this.#outbox.beginCheck(everyMs) : false))
  }

  sample(): Promise<ProjectedRow[]> {
    return this.#guard('reading a sample of projected rows', async () => (this.#open ? this.#outbox.sample() : []))
  }

  rebuild(aggregations: number[]): Promise<void> {
    return this.#guard('enqueueing all rows of a projection', () => this.#outbox.rebuild(aggregations))
  }

  rebuilds(): Promise<Rebuild[]> {
    return this.#guard('counting rows of rebuilds', async () => (this.#open ? this.#outbox.rebuilds() : []))
  }

  async close(): Promise<void> {
    await this.#outbox.close()
    await this.#connections.close()
  }

  #shared() {
    const { compiled, schema } = this.#options
    return {
      compiled,
      schema,
      connections: this.#connections,
      statements: this.#statements,
      aggregates: this.#aggregates,
    }
  }

  #claimContext(): ClaimContext {
    const { owner, specIdentity } = this.#options
    return {
      ...this.#shared(),
      ...this.#opened(),
      awaiting: this.#awaiting,
      specIdentity,
      applicationPrefix: applicationPrefix(owner),
    }
  }

  #opened(): Open {
    if (!this.#open) throw new Retryable('the connection to the PostgreSQL schema is not ready yet; retrying')
    return this.#open
  }

  /** Translates errors of PostgreSQL and its client into ours. */
  async #guard<T>(doing: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw storeError(error, doing)
    }
  }
}
