/** A compiled spec with every kind of column, and rows as the outbox returns them. */
import { type CompiledSpec, compileSpec } from '#pipeline/compiled-spec.ts'
import { parsePipeline } from '#pipeline/parse.ts'
import { type Identification, projectedRow, type StoredRow } from '#processor/adapters/projected-row.ts'
import type { Ownership, ProjectedRow } from '#processor/ports.ts'

/** Whose documents the tests project. */
export const OWNERSHIP: Ownership = { owner: 'default/projected/1234', inherited: [] }
const IDENTIFICATION = { owner: OWNERSHIP.owner, replacing: false }

export const BY_STORE = 0
export const ALL_TIME = 1

/** `prefix`: start of the indices' names, so that tests on one server do not share them. */
export function compiledFor(prefix: string): CompiledSpec {
  return compileSpec(
    parsePipeline(`
apiVersion: salespipeline.dev/v1alpha1
kind: SalesPipeline
metadata: { name: projected }
spec:
  source: { topic: sales }
  event:
    time: { path: at }
    fields:
      - { name: store }
      - { name: lane, type: number }
      - { name: online, type: boolean }
      - { name: amount, type: decimal, scale: 2 }
  aggregations:
    - name: by_store
      groupBy: [store, lane, online]
      measures:
        - { name: revenue, op: sum, of: amount }
        - { name: orders, op: count }
        - { name: usual, op: average, of: amount }
    - name: all_time
      window: { type: none }
      groupBy: [store]
      measures: [{ name: largest, op: max, of: amount }]
  sinks:
    elasticsearch:
      projections:
        - { aggregation: by_store, index: ${prefix}-by-store, template: ${prefix}-template, fields: { window_start: "@timestamp", revenue: total.revenue } }
        - { aggregation: all_time, index: ${prefix}-all-time }
`).spec,
  )
}

/** Returns the spec with `adopt: true` for all projections. */
export function adopting(compiled: CompiledSpec): CompiledSpec {
  const copy = structuredClone(compiled)
  for (const projection of copy.spec.sinks.elasticsearch!.projections) projection.adopt = true
  return copy
}

/** Returns the row of one minute of a store. `more` replaces some of its values. */
export function minuteRow(
  compiled: CompiledSpec,
  store: string,
  version: bigint,
  more: Partial<StoredRow> = {},
  identification: Identification = IDENTIFICATION,
): ProjectedRow {
  const windowStart = Date.UTC(2026, 0, 15, 10)
  const row = {
    windowStart,
    windowEnd: windowStart + 60_000,
    keys: [store, '7', 'true'],
    columns: ['12.50', '2', '12.50', '2'],
    shown: ['6.25'],
    version,
    final: false,
    partial: false,
    updatedAt: windowStart + 1234,
    ...more,
  }
  return projectedRow(compiled, BY_STORE, row, identification)
}

export function allTimeRow(compiled: CompiledSpec, store: string, version: bigint, largest: string): ProjectedRow {
  const row = {
    windowStart: -Infinity,
    windowEnd: Infinity,
    keys: [store],
    columns: [largest],
    shown: [],
    version,
    final: false,
    partial: false,
    updatedAt: Date.UTC(2026, 0, 15, 10),
  }
  return projectedRow(compiled, ALL_TIME, row, IDENTIFICATION)
}

export const removed = (row: ProjectedRow, version: bigint): ProjectedRow => ({ ...row, version, document: null })

/** Adds a field that is not in the spec, so that every sink rejects the document. */
export const unacceptable = (row: ProjectedRow): ProjectedRow => ({
  ...row,
  document: { ...row.document, surprise: 'x' },
})
