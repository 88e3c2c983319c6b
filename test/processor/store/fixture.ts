/** Pipelines for the stores under test, and commits with small numbers. */
import { expect } from 'vitest'
import { parsePipeline } from '#pipeline/parse.ts'
import type { SalesPipeline } from '#pipeline/schema.ts'
import type { Claim } from '#processor/core/claim.ts'
import type { AggregateRows, Commit, DeadLetter, PartitionCommit } from '#processor/core/commit.ts'
import type { Amount } from '#processor/core/exact.ts'
import { Retryable } from '#processor/errors.ts'
import type { Outbox, Store } from '#processor/ports.ts'

export type Worker = Store & Outbox

/** A row of an aggregation's table, with numbers as exact text. */
export type Row = {
  windowStart: number
  windowEnd: number
  keys: string[]
  values: Record<string, string>
  version: bigint
  final: boolean
  reopened: number
  partial: boolean
}

export type CountedProgress = {
  firstOffset: number | null
  nextOffset: number | null
  counters: PartitionCommit['counters']
  aggregations: Record<string, PartitionCommit['aggregations'][number]>
}

/** A fresh database of one pipeline, with access to its tables. */
export type Harness = {
  /** Creates another worker, which is not open yet. */
  worker(pipeline?: SalesPipeline): Worker
  /** Returns rows in key order. */
  rows(aggregation: string): Promise<Row[]>
  late(): Promise<
    { offset: number; aggregation: string; eventTime: number; missed: number[]; entirely: boolean; payload: string }[]
  >
  dead(): Promise<
    {
      offset: number
      reason: string
      field: string | null
      key: string | null
      headers: [string, string][]
      payload: string | null
      payloadBytes: number
      sha256: string | null
      detail: string | null
    }[]
  >
  raw(): Promise<{ offset: number; line: number; eventTime: number; values: (string | null)[] }[]>
  progress(partition: number): Promise<CountedProgress>
  projectionErrors(): Promise<{ id: string; error: string }[]>
  /** Lets time pass on the database's clock. */
  elapse(ms: number): Promise<void>
  close(): Promise<void>
}

export type Fresh = () => Promise<Harness>

export const TOPIC = { topic: 'sales', topicId: 'topic-1', partitions: 2 }
export const T0 = Date.UTC(2026, 0, 15, 10)
export const MINUTE = 60_000

export const BY_STORE = 0
export const TOTALS = 1
export const BY_KIND = 2

/** `change`: a text of the document and its replacement. */
export function pipelineOf(...change: [string, string][]): SalesPipeline {
  return parsePipeline(documentOf(...change))
}

export function documentOf(...change: [string, string][]): string {
  let text = DOCUMENT
  for (const [from, to] of change) {
    if (!text.includes(from)) throw new Error(`the document has no "${from}"`)
    text = text.replace(from, to)
  }
  return text
}

const DOCUMENT = `
apiVersion: salespipeline.dev/v1alpha1
kind: SalesPipeline
metadata: { name: sales, namespace: shop }
spec:
  source: { topic: sales }
  event:
    id: id
    time: { path: at }
    fields:
      - { name: store }
      - { name: amount, type: decimal, scale: 2 }
      - { name: quantity, type: number }
      - { name: online, type: boolean }
      - { name: note, optional: true }
  window: { type: tumbling, size: 1m }
  watermark: { outOfOrderness: 5s, idleTimeout: 10s, idle: hold }
  allowedLateness: 30s
  aggregations:
    - name: by_store
      groupBy: [store]
      retention: 1h
      measures:
        - { name: orders, op: count }
        - { name: revenue, op: sum, of: amount }
        - { name: smallest, op: min, of: amount }
        - { name: largest, op: max, of: amount }
        - { name: average_order, op: average, of: amount }
    - name: totals
      window: { type: none }
      groupBy: [store]
      measures: [{ name: revenue, op: sum, of: amount }]
    - name: by_kind
      groupBy: [online, quantity]
      measures: [{ name: orders, op: count }]
  raw: { table: sales_raw, retention: 1h }
  lateEvents: { retention: 1h }
  deadLetters: { retention: 1h }
  sinks:
    elasticsearch:
      projections: [{ aggregation: by_store, index: by-store, fields: { window_start: "@timestamp", revenue: total } }]
`

/** Changes of the document: amounts have 4 decimals, the sum and the average of by_store 2. */
export const ROUNDED: [string, string][] = [
  ['type: decimal, scale: 2', 'type: decimal, scale: 4'],
  ['revenue, op: sum, of: amount', 'revenue, op: sum, of: amount, scale: 2'],
  ['average_order, op: average, of: amount', 'average_order, op: average, of: amount, scale: 2'],
]

/** Opens a worker and claims partition 0. */
export async function ready(harness: Harness, pipeline?: SalesPipeline): Promise<{ store: Worker; claim: Claim }> {
  const store = harness.worker(pipeline)
  await store.open(TOPIC)
  return { store, claim: await store.claim(0, 100) }
}

type Effects = Partial<Omit<Commit, 'partitions'>>

/** Returns a commit of the claim's next `records` records. */
export function commitOf(
  claim: Claim,
  effects: Effects = {},
  more: Partial<PartitionCommit> & { records?: number } = {},
): Commit {
  return { partitions: [partitionOf(claim, more)], aggregates: [], late: [], dead: [], raw: [], traces: [], ...effects }
}

export function partitionOf(
  claim: Claim,
  { records = 10, ...more }: Partial<PartitionCommit> & { records?: number } = {},
): PartitionCommit {
  const counts = { late: 0, onTime: records, partlyLate: 0, missedWindows: 0, added: records, missed: 0 }
  return {
    partition: claim.partition,
    epoch: claim.epoch,
    token: claim.token,
    fromOffset: claim.nextOffset,
    fromLine: claim.nextLine,
    nextOffset: claim.nextOffset + records,
    nextLine: 0,
    restoreOffset: claim.nextOffset,
    restoreMaxEventTime: claim.maxEventTime,
    maxEventTime: claim.maxEventTime,
    agreedTime: null,
    sources: null,
    firstEventTime: null,
    leaderEpoch: 3,
    counters: { records, skipped: 0, dead: 0, duplicate: 0, accepted: records },
    aggregations: [counts, counts, counts],
    ...more,
  }
}

/** Commits and advances the claim to the start of the next commit. */
export async function commitNext(
  store: Store,
  claim: Claim,
  effects: Effects = {},
  more: Partial<PartitionCommit> & { records?: number } = {},
): Promise<Commit> {
  const commit = commitOf(claim, effects, more)
  await store.commit(commit)
  const { nextOffset, nextLine, restoreOffset, restoreMaxEventTime, maxEventTime } = commit.partitions[0]!
  Object.assign(claim, { nextOffset, nextLine, restoreOffset, restoreMaxEventTime, maxEventTime })
  return commit
}

/** Returns sales in hundredths as rows of by_store: [window start, store, …amounts]. */
export function byStore(...rows: [start: number, store: string, ...amounts: Amount[]][]): AggregateRows {
  const sums = rows.map(([, , ...amounts]) => canonical(amounts.reduce<bigint>((sum, a) => sum + BigInt(a), 0n)))
  const extreme = (pick: (a: Amount, b: Amount) => Amount) => rows.map(([, , ...amounts]) => amounts.reduce(pick))
  const lesser = (a: Amount, b: Amount) => (a < b ? a : b)
  const greater = (a: Amount, b: Amount) => (a < b ? b : a)
  const counts = rows.map(([, , ...amounts]) => amounts.length)
  return {
    aggregation: BY_STORE,
    windowStart: rows.map(([start]) => start),
    keys: [rows.map(([, store]) => store)],
    columns: [counts, sums, extreme(lesser), extreme(greater), sums, counts],
  }
}

export function totals(...rows: [store: string, amount: Amount][]): AggregateRows {
  return {
    aggregation: TOTALS,
    windowStart: rows.map(() => Number.NEGATIVE_INFINITY),
    keys: [rows.map(([store]) => store)],
    columns: [rows.map(([, amount]) => amount)],
  }
}

const canonical = (value: bigint): Amount => (Number.isSafeInteger(Number(value)) ? Number(value) : value)

export function letter(offset: number, more: Partial<DeadLetter> = {}): DeadLetter {
  const payload = Buffer.from(`bad ${offset}`)
  return {
    partition: 0,
    offset,
    reason: 'not_json',
    field: null,
    recordTimestamp: T0,
    key: null,
    headers: [],
    payload,
    payloadBytes: payload.length,
    payloadSha256: null,
    detail: null,
    countedLines: 0,
    ...more,
  }
}

/** Repeats a call that fails with Retryable, because broken connections of the pool are only found by using them. */
export async function retried<T>(call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await call()
    } catch (error) {
      expect(error).toBeInstanceOf(Retryable)
    }
  }
}
