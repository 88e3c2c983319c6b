/** The database that the in-memory stores of several workers share: the tables of docs/tables.md as collections. */
import type { CompiledAggregation, CompiledSpec } from '#pipeline/compiled-spec.ts'
import type { Progress } from '#processor/core/claim.ts'
import type { AggregationCounters, DeadLetter, LateEvent, RawSale } from '#processor/core/commit.ts'
import type { Amount } from '#processor/core/exact.ts'
import { decimalText } from '#processor/core/exact.ts'
import type { MissingTimes } from '#processor/core/gaps.ts'
import type { ProjectionFault } from '#processor/ports.ts'
import type { StoredRow } from '../projected-row.ts'

export type MemoryProgress = {
  partition: number
  firstOffset: number | null
  nextOffset: number | null
  nextLine: number
  restoreOffset: number | null
  restoreMaxEventTime: number | null
  maxEventTime: number | null
  agreedTime: number | null
  sources: string | null
  leaderEpoch: number | null
  epoch: number
  token: string
  generation: number
  /** ms on the database's clock; −Infinity when not idle. */
  idleUntil: number
  counters: { records: number; skipped: number; dead: number; duplicate: number; accepted: number }
  aggregations: Map<string, AggregationCounters>
}

export type MemoryRow = {
  windowStart: number
  windowEnd: number
  keys: string[]
  columns: Amount[]
  /** Microseconds. */
  version: number
  final: boolean
  reopened: number
  partial: boolean
  updatedAt: number
}

export type MemoryEntry = {
  seq: number
  aggregation: string
  keys: { windowStart: number; keys: string[] }[]
  removedVersion: number | null
  createdAt: number
  traces: string[]
}

export class MemoryDatabase {
  /** namespace/name of the pipeline and the id of this database. */
  readonly owner: string
  topicId: string | null = null
  firstPartitions: number | null = null
  watermark: number | null = null
  readonly specs: { generation: number; identity: string; document: string }[] = []
  readonly specHistory: {
    partition: number
    fromOffset: number
    generation: number
    maxEventTime: number | null
  }[] = []
  readonly progress = new Map<number, MemoryProgress>()
  /** `rebuildRows`: number of rows of the rebuild that is in progress, or null. */
  readonly aggregations = new Map<
    string,
    { identity: string; projection: string | null; rebuildRows: number | null; incomplete: MissingTimes[] }
  >()
  /** By aggregation, then by key. */
  readonly tables = new Map<string, Map<string, MemoryRow>>()
  /** By "partition|offset|aggregation's name". */
  readonly late = new Map<string, LateEvent>()
  /** By "partition|offset". */
  readonly dead = new Map<string, DeadLetter>()
  /** By "partition|offset|line". */
  readonly raw = new Map<string, RawSale>()
  outbox: MemoryEntry[] = []
  projectionErrors: ProjectionFault[] = []
  nextSeq = 1
  /** ms on the database's clock. */
  projectionCheckedAt = Number.NEGATIVE_INFINITY
  /** The projector's lease; `until`: ms on the database's clock, when the projector's connection would count as dead. */
  lease: { holder: unknown; until: number } | null = null

  constructor(owner = 'shop/sales/memory') {
    this.owner = owner
  }

  get generation(): number {
    return this.specs.at(-1)?.generation ?? 0
  }

  /** `start`: null if the first claim sets it. */
  addPartition(partition: number, start: number | null): void {
    if (this.progress.has(partition)) return
    const unknown = {
      firstOffset: start,
      nextOffset: start,
      nextLine: 0,
      restoreOffset: start,
      restoreMaxEventTime: null,
      maxEventTime: null,
      agreedTime: null,
      sources: null,
      leaderEpoch: null,
    }
    const counters = { records: 0, skipped: 0, dead: 0, duplicate: 0, accepted: 0 }
    const owner = { epoch: 0, token: '', generation: 0, idleUntil: Number.NEGATIVE_INFINITY }
    this.progress.set(partition, { partition, ...unknown, ...owner, counters, aggregations: new Map() })
  }

  /** Gives every row of an aggregation a new version and enqueues it (docs/semantics.md, section 4). */
  renew(name: string, now: number): void {
    const table = this.tables.get(name)!
    for (const row of table.values()) row.version = Math.max(row.version + 1, now * 1000)
    const aggregation = this.aggregations.get(name)!
    if (aggregation.projection !== null) aggregation.rebuildRows = table.size
    this.enqueue(name, [...table.values()], null, now)
  }

  /** Enqueues rows for the projection, if the aggregation has one. */
  enqueue(
    aggregation: string,
    rows: MemoryRow[],
    removedVersion: number | null,
    createdAt: number,
    traces: string[] = [],
  ): void {
    if (rows.length === 0 || this.aggregations.get(aggregation)!.projection === null) return
    const keys = rows.map(({ windowStart, keys }) => ({ windowStart, keys }))
    this.outbox.push({ seq: this.nextSeq++, aggregation, keys, removedVersion, createdAt, traces })
  }
}

/** U+0000 cannot occur in a stored key. */
export const rowKey = (windowStart: number, keys: string[]) => [windowStart, ...keys].join('\0')

export function storedRow(aggregation: CompiledAggregation, row: MemoryRow): StoredRow {
  const columns = row.columns.map((amount, i) => decimalText(amount, aggregation.columns[i]!.scale))
  const indexOf = (name: string) => aggregation.columns.findIndex(column => column.name === name)
  const shown = aggregation.shown.map(({ sum, count, scale }) => {
    const excess = BigInt(aggregation.columns[indexOf(sum)]!.scale - scale)
    const divisor = (count === null ? 1n : BigInt(row.columns[indexOf(count)]!)) * 10n ** excess
    return decimalText(divideHalfEven(BigInt(row.columns[indexOf(sum)]!), divisor), scale)
  })
  const { windowStart, windowEnd, keys, final, partial, updatedAt } = row
  return { windowStart, windowEnd, keys, columns, shown, version: BigInt(row.version), final, partial, updatedAt }
}

/** `denominator` > 0. */
function divideHalfEven(numerator: bigint, denominator: bigint): bigint {
  const quotient = numerator / denominator
  const remainder = numerator - quotient * denominator
  const twice = remainder < 0n ? -2n * remainder : 2n * remainder
  if (twice < denominator || (twice === denominator && quotient % 2n === 0n)) return quotient
  return quotient + (numerator < 0n ? -1n : 1n)
}

export function progressOf(row: MemoryProgress): Progress {
  const { partition, epoch, token, restoreMaxEventTime, maxEventTime, sources, leaderEpoch } = row
  return {
    partition,
    epoch,
    token,
    nextOffset: row.nextOffset!,
    nextLine: row.nextLine,
    restoreOffset: row.restoreOffset!,
    restoreMaxEventTime,
    maxEventTime,
    sources,
    leaderEpoch,
  }
}

export const aggregationIndex = (compiled: CompiledSpec, name: string) =>
  compiled.aggregations.findIndex(a => a.name === name)
