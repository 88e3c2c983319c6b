/** The input of a status: a pipeline with two workers, in force and without faults, unless a test changes it. */
import { UNKNOWN } from '#operator/observe/figures.ts'
import type { WorkerReport } from '#operator/observe/report.ts'
import type { StatusInput } from '#operator/status/input.ts'
import { deriveStatus } from '#operator/status/status.ts'
import { checkPipeline } from '#pipeline/parse.ts'
import { documentWith } from '../pipeline/documents.ts'

export const { spec } = checkPipeline(documentWith({}))
export const projected = checkPipeline(
  documentWith({ 'spec.sinks': { elasticsearch: { projections: [{ aggregation: 'by_store', index: 'a' }] } } }),
).spec

export function report(more: Partial<WorkerReport> = {}): WorkerReport {
  return {
    pod: 'w-1',
    at: 10_000,
    startedAt: 1000,
    member: 'w-1-x',
    topicPartitions: 8,
    conditions: {},
    proof: { partitions: [0, 1, 2, 3, 4, 5, 6, 7], sinks: ['elasticsearch', 'postgres'] },
    health: { ready: true },
    counters: { records: 100, busySeconds: 2.5, projectedRows: 0 },
    partitions: Array.from({ length: 8 }, (_, partition) => ({ partition, lag: 0 })),
    watermark: Date.UTC(2026, 0, 1),
    endToEndDelay: { p99: 0.114 },
    projectionDelay: null,
    projectionPending: 0,
    ...more,
  }
}

export function input(more: Partial<StatusInput> = {}): StatusInput {
  const workers = { replicas: 2, ready: 2, desired: 2, selector: 'a=b' }
  const empty = {
    obstacle: null,
    current: new Set(['w-1', 'w-2']),
    unready: [],
    notices: [],
    troubles: [],
    reports: [report()],
    figures: UNKNOWN,
    previous: {},
    scaling: {},
  }
  return { generation: 3, now: Date.UTC(2026, 0, 2), spec, workers, ...empty, ...more }
}

export const ALL = [0, 1, 2, 3, 4, 5, 6, 7]
export const NOTHING = { records: 0, busySeconds: 0, projectedRows: 0 }
export const NO_PROOF = { partitions: [], sinks: [] }
/** The status of a pipeline whose generation 3 is in force. */
export const IN_FORCE = deriveStatus(input())
