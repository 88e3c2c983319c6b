/**
 * The store in memory, for the simulator: every call changes its state in one synchronous step, as a transaction would,
 * and time is what the caller says it is. It passes the same contract suite as PostgreSQL.
 */
import { createHash } from 'node:crypto'
import type { Plan } from '#pipeline/plan.ts'
import { mergeAmount } from '#processor/core/merge.ts'
import { windowEnd } from '#processor/core/window.ts'
import { Fatal, Fenced, Rejected } from '#processor/errors.ts'
import type {
  Claim,
  Commit,
  DeadLetter,
  LateEvent,
  Opened,
  Outbox,
  PartitionCommit,
  PipelineClock,
  Progress,
  ProjectedRow,
  ProjectionFault,
  ProjectionWork,
  RawSale,
  Store,
  TopicInfo,
} from '#processor/ports.ts'
import { type AggregateRow, type MemoryDatabase, type ProgressRow, rowKey } from './database.ts'

export type MemoryStoreOptions = {
  database: MemoryDatabase
  plan: Plan
  pipelineJson: string
  specIdentity: string
  /** The database's clock, ms. */
  now: () => number
  newToken: () => string
  /** Data that this database refuses, as a constraint would. */
  refuses?: (commit: Commit) => boolean
}

export class MemoryStore implements Store, Outbox {
  readonly #options: MemoryStoreOptions
  readonly #db: MemoryDatabase
  readonly #plan: Plan
  #generation = 0

  constructor(options: MemoryStoreOptions) {
    this.#options = options
    this.#db = options.database
    this.#plan = options.plan
  }

  async open(topic: TopicInfo): Promise<Opened> {
    const db = this.#db
    if (db.topicId !== null && db.topicId !== topic.topicId) throw new Fatal('TopicReplaced', `topic ${topic.topic} was made anew`)
    db.topicId = topic.topicId
    const known = new Map(db.specs.flatMap(spec => [...spec.aggregations]))
    for (const { name, identity } of this.#plan.aggregations) {
      if (known.has(name) && known.get(name) !== identity) throw new Fatal('AggregationChanged', `aggregation ${name} changed`)
      if (!db.tables.has(name)) db.tables.set(name, new Map())
    }
    for (let partition = 0; partition < topic.partitions; partition++)
      if (!db.progress.has(partition)) db.progress.set(partition, emptyProgress(partition))
    this.#generation = this.#register()
    return { generation: this.#generation, watermark: db.watermark }
  }

  async positions(): Promise<Map<number, number | null>> {
    return new Map([...this.#db.progress].map(([partition, row]) => [partition, row.nextOffset]))
  }

  async claim(partition: number, start: number): Promise<Claim> {
    const db = this.#db
    if (this.#generation < db.specs.length) throw new Fatal('GenerationOutdated', `a newer spec (${db.specs.length}) is in force`)
    const row = db.progress.get(partition)!
    row.firstOffset ??= start
    row.nextOffset ??= start
    row.restoreOffset ??= start
    row.epoch++
    row.token = this.#options.newToken()
    row.idleUntil = 0
    const mine = db.history.filter(h => h.partition === partition)
    if (mine.at(-1)?.generation !== this.#generation)
      db.history.push({ partition, fromOffset: row.nextOffset, generation: this.#generation })
    return { ...progressOf(row), segments: this.#segments(partition), rejectedOffsets: this.#rejectedOffsets(row) }
  }

  async commit(commit: Commit): Promise<void> {
    const db = this.#db
    for (const part of commit.partitions) {
      const row = db.progress.get(part.partition)
      if (!row || row.epoch !== part.epoch || row.token !== part.token || row.nextOffset !== part.fromOffset)
        throw new Fenced(`partition ${part.partition} is not ours, or not where we think it is`)
    }
    this.#check(commit)
    for (const part of commit.partitions) advance(db.progress.get(part.partition)!, part)
    for (const { aggregation, windowStart, keys, columns } of commit.aggregates) {
      const changed = windowStart.map((start, i) => this.#upsert(aggregation, start, keys.map(k => k[i]!), columns.map(c => c[i]!)))
      this.#remember(aggregation, changed)
    }
    for (const event of commit.late) db.late.set(lateKey(event), event)
    for (const letter of commit.dead) db.dead.set(deadKey(letter), letter)
    for (const sale of commit.raw) db.raw.set(rawKey(sale), sale)
  }

  async inspect(partitions: number[]): Promise<Progress[]> {
    return partitions.flatMap(partition => {
      const row = this.#db.progress.get(partition)
      return row && row.nextOffset !== null ? [progressOf(row)] : []
    })
  }

  async renewIdle(owned: { partition: number; epoch: number; token: string }[], leaseMs: number): Promise<void> {
    for (const { partition, epoch, token } of owned) {
      const row = this.#db.progress.get(partition)
      if (row?.epoch === epoch && row.token === token) row.idleUntil = this.#options.now() + leaseMs
    }
  }

  async advance(): Promise<PipelineClock> {
    const db = this.#db
    const { outOfOrderness, idle, idleTimeout } = this.#plan.spec.watermark
    const rows = [...db.progress.values()]
    const busy = rows.filter(row => row.idleUntil <= this.#options.now())
    const watermarkOf = (row: ProgressRow) => (row.maxEventTime === null ? Number.NEGATIVE_INFINITY : row.maxEventTime - outOfOrderness)
    let now = busy.length > 0 ? Math.min(...busy.map(watermarkOf)) : Number.NEGATIVE_INFINITY
    if (busy.length === 0 && idle === 'advance') now = this.#options.now() - outOfOrderness - idleTimeout
    if (Number.isFinite(now)) db.watermark = Math.max(db.watermark ?? Number.NEGATIVE_INFINITY, now)
    const finalised = db.watermark === null ? 0 : this.#finalise(db.watermark)
    const removed = this.#removeOld(Math.min(...rows.map(watermarkOf)))
    return { watermark: db.watermark, finalised, removed }
  }

  async deadLetterBytes(): Promise<number> {
    return [...this.#db.dead.values()].reduce((sum, letter) => sum + (letter.payload?.length ?? 0), 0)
  }

  async close(): Promise<void> {}

  async take(limit: number): Promise<ProjectionWork | null> {
    const taken: bigint[] = []
    const wanted = new Map<string, { aggregation: number; key: string }>()
    for (const entry of this.#db.outbox) {
      if (wanted.size >= limit) break
      taken.push(entry.seq)
      for (const key of entry.rows) wanted.set(`${entry.aggregation}|${key}`, { aggregation: entry.aggregation, key })
    }
    if (taken.length === 0) return null
    return { entries: taken, rows: [...wanted.values()].map(({ aggregation, key }) => this.#project(aggregation, key)) }
  }

  async confirm(work: ProjectionWork, faults: ProjectionFault[]): Promise<void> {
    const done = new Set(work.entries)
    this.#db.outbox = this.#db.outbox.filter(entry => !done.has(entry.seq))
    this.#db.faults.push(...faults)
  }

  async pending(): Promise<number> {
    return this.#db.outbox.reduce((sum, entry) => sum + entry.rows.length, 0)
  }

  /** All constraints before the first change: a refused transaction leaves nothing. */
  #check(commit: Commit): void {
    const { late, dead, raw } = this.#db
    const doubled = commit.late.some(e => late.has(lateKey(e))) || commit.dead.some(d => dead.has(deadKey(d))) || commit.raw.some(s => raw.has(rawKey(s)))
    if (doubled || this.#options.refuses?.(commit)) throw new Rejected('a constraint refuses the data')
  }

  #register(): number {
    const { specIdentity: identity, pipelineJson: json } = this.#options
    const newest = this.#db.specs.at(-1)
    if (newest?.identity === identity) return newest.generation
    const generation = this.#db.specs.length + 1
    this.#db.specs.push({ generation, identity, json, aggregations: new Map(this.#plan.aggregations.map(a => [a.name, a.identity])) })
    return generation
  }

  #segments(partition: number): Claim['segments'] {
    return this.#db.history
      .filter(h => h.partition === partition)
      .map(({ fromOffset, generation }) => ({ fromOffset, generation, specJson: this.#db.specs[generation - 1]!.json }))
  }

  #rejectedOffsets(row: ProgressRow): number[] {
    return [...this.#db.dead.values()]
      .filter(d => d.partition === row.partition && d.reason === 'store_rejected' && d.offset >= row.restoreOffset!)
      .map(d => d.offset)
  }

  #upsert(aggregation: number, windowStart: number, keys: string[], columns: AggregateRow['columns']): string {
    const { name, columns: plans } = this.#plan.aggregations[aggregation]!
    const table = this.#db.tables.get(name)!
    const key = rowKey(windowStart, keys)
    const old = table.get(key)
    table.set(key, {
      windowStart,
      keys,
      columns: columns.map((value, c) => mergeAmount(plans[c]!.merge, old?.columns[c], value)),
      version: this.#nextVersion(old),
      final: false,
      reopened: (old?.reopened ?? 0) + (old?.final ? 1 : 0),
      updatedAt: this.#options.now(),
    })
    return key
  }

  #nextVersion(old: AggregateRow | undefined): bigint {
    const clock = BigInt(Math.floor(this.#options.now())) * 1000n
    return old && old.version >= clock ? old.version + 1n : clock
  }

  #remember(aggregation: number, rows: string[]): void {
    const projected = this.#plan.spec.sinks.elasticsearch?.projections ?? []
    if (rows.length === 0 || !projected.some(p => p.aggregation === this.#plan.aggregations[aggregation]!.name)) return
    this.#db.outbox.push({ seq: this.#db.nextSeq++, aggregation, rows })
  }

  #finalise(watermark: number): number {
    let finalised = 0
    this.#plan.aggregations.forEach(({ name, window, allowedLateness }, aggregation) => {
      const closed = [...this.#db.tables.get(name)!].filter(([, row]) => !row.final && windowEnd(window, row.windowStart) + allowedLateness <= watermark)
      for (const [, row] of closed) Object.assign(row, { final: true, version: this.#nextVersion(row), updatedAt: this.#options.now() })
      this.#remember(aggregation, closed.map(([key]) => key))
      finalised += closed.length
    })
    return finalised
  }

  /** `closedEverywhere`: the least watermark of all partitions, idle ones included. */
  #removeOld(closedEverywhere: number): number {
    let removed = 0
    this.#plan.aggregations.forEach(({ name, window, allowedLateness, retention }, aggregation) => {
      if (retention === undefined) return
      const table = this.#db.tables.get(name)!
      const old = [...table].filter(([, row]) => windowEnd(window, row.windowStart) + Math.max(retention, allowedLateness) <= closedEverywhere)
      for (const [key] of old) table.delete(key)
      this.#remember(aggregation, old.map(([key]) => key))
      removed += old.length
    })
    return removed
  }

  #project(aggregation: number, key: string): ProjectedRow {
    const { name } = this.#plan.aggregations[aggregation]!
    const row = this.#db.tables.get(name)!.get(key)
    const id = createHash('sha256').update(`${name}\0${key}`).digest('hex')
    if (!row) return { aggregation, id, version: BigInt(Math.floor(this.#options.now())) * 1000n, document: null, updatedAt: this.#options.now() }
    const document = { key, columns: row.columns.join(), final: row.final }
    return { aggregation, id, version: row.version, document, updatedAt: row.updatedAt }
  }
}

function emptyProgress(partition: number): ProgressRow {
  return {
    partition,
    firstOffset: null,
    nextOffset: null,
    restoreOffset: null,
    restoreMaxEventTime: null,
    maxEventTime: null,
    epoch: 0,
    token: '',
    idleUntil: 0,
    counters: { records: 0, skipped: 0, dead: 0, duplicate: 0, accepted: 0 },
  }
}

function advance(row: ProgressRow, part: PartitionCommit): void {
  const { nextOffset, restoreOffset, restoreMaxEventTime, maxEventTime, counters } = part
  Object.assign(row, { nextOffset, restoreOffset, restoreMaxEventTime, maxEventTime, idleUntil: 0 })
  for (const name of Object.keys(counters) as (keyof typeof counters)[]) row.counters[name] += counters[name]
}

const lateKey = ({ partition, offset, aggregation }: LateEvent) => `${partition}|${offset}|${aggregation}`
const deadKey = ({ partition, offset }: DeadLetter) => `${partition}|${offset}`
const rawKey = ({ partition, offset, line }: RawSale) => `${partition}|${offset}|${line}`

function progressOf(row: ProgressRow): Progress {
  const { partition, epoch, token, nextOffset, restoreOffset, restoreMaxEventTime, maxEventTime } = row
  return { partition, epoch, token, nextOffset: nextOffset!, restoreOffset: restoreOffset!, restoreMaxEventTime, maxEventTime }
}
