/** What PostgreSQL holds for one pipeline, as plain maps. Shared by all the workers of a simulation. */
import type { Amount, DeadLetter, KeyText, LateEvent, ProjectionFault, RawSale } from '#processor/ports.ts'

export type ProgressRow = {
  partition: number
  firstOffset: number | null
  nextOffset: number | null
  restoreOffset: number | null
  restoreMaxEventTime: number | null
  maxEventTime: number | null
  epoch: number
  token: string
  /** Lease on the database's clock, ms; 0: not idle. */
  idleUntil: number
  counters: { records: number; skipped: number; dead: number; duplicate: number; accepted: number }
}

export type AggregateRow = {
  windowStart: number
  keys: KeyText[]
  columns: Amount[]
  version: bigint
  final: boolean
  reopened: number
  updatedAt: number
}

export type OutboxEntry = { seq: bigint; aggregation: number; rows: string[] }

export class MemoryDatabase {
  topicId: string | null = null
  watermark: number | null = null
  specs: { generation: number; identity: string; json: string; aggregations: Map<string, string> }[] = []
  history: { partition: number; fromOffset: number; generation: number }[] = []
  progress = new Map<number, ProgressRow>()
  /** By aggregation name, then by `rowKey`. */
  tables = new Map<string, Map<string, AggregateRow>>()
  late = new Map<string, LateEvent>()
  dead = new Map<string, DeadLetter>()
  raw = new Map<string, RawSale>()
  outbox: OutboxEntry[] = []
  faults: ProjectionFault[] = []
  nextSeq = 1n
}

export function rowKey(windowStart: number, keys: KeyText[]): string {
  return [windowStart, ...keys].join('\0')
}
