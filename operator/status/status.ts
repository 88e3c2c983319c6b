/** Derives the status of a pipeline from what was observed. Pure. */

import { reportText } from '#common/redact.ts'
import { INFORMATIONAL, type ReportedCode } from '#pipeline/conditions.ts'
import type { Spec } from '#pipeline/schema.ts'
import { isOpenIngest, OPEN_INGEST } from '#pipeline/secrets.ts'
import { formatDuration } from '#pipeline/units.ts'
import type { Figures } from '../observe/figures.ts'
import type { Trouble } from '../observe/pods.ts'
import type { WorkerReport } from '../observe/report.ts'
import type { Scaling } from '../scaling/autoscaler.ts'
import { idleWorkers } from './idle.ts'

export type Sink = 'postgres' | 'elasticsearch'
export type Condition = {
  type: string
  status: 'True' | 'False' | 'Unknown'
  observedGeneration: number
  lastTransitionTime: string
  reason: string
  message: string
}

export type Status = {
  observedGeneration: number
  conditions: Condition[]
  workers: { replicas: number; ready: number; desired: number; summary: string; selector: string }
  /** Sinks of the current spec that have received a result. */
  sinksReached?: Sink[]
  firstResultAt?: string
  lag?: number
  watermark?: string
  endToEndDelayP99?: string
  catchUp?: string
} & Scaling

export type StatusInput = {
  generation: number
  /** ms since the epoch. */
  now: number
  previous: Partial<Status>
  spec: Spec | null
  workers: { replicas: number; ready: number; desired: number; selector: string }
  /** The problem that keeps the spec from being applied, found before pods are examined. */
  obstacle: Trouble | null
  /** Names of the pods that are not ready. */
  unready: string[]
  /** The first problem of the pods. */
  trouble: Trouble | null
  reports: WorkerReport[]
  figures: Figures
  scaling: Scaling
}

/** Pods that are named in a message. */
const MAX_NAMED_PODS = 5

type Verdict = Pick<Condition, 'status'> & Trouble

export function deriveStatus(input: StatusInput): Status {
  const { generation, previous, workers, figures, now } = input
  const sinksReached = reached(input)
  const isEvery = sinksOf(input.spec).every(sink => sinksReached.includes(sink))
  const firstResultAt = previous.firstResultAt ?? (isEvery ? new Date(now).toISOString() : undefined)
  const verdicts: Record<string, Verdict | null> = {
    Ready: ready(input, isEvery),
    Accepted: accepted(input),
    WorkersReady: workersReady(input),
    Autoscaling: autoscaling(input),
    Notice: notice(input),
  }
  return {
    observedGeneration: generation,
    conditions: conditionsOf(verdicts, input),
    workers: { ...workers, summary: `${workers.ready}/${workers.desired}` },
    ...(sinksReached.length > 0 && { sinksReached }),
    ...(firstResultAt && { firstResultAt }),
    ...(figures.lag !== null && { lag: figures.lag }),
    ...(figures.watermark !== null && { watermark: secondsOf(figures.watermark) }),
    ...(figures.delayP99 !== null && { endToEndDelayP99: formatDuration(Math.round(figures.delayP99 * 1000)) }),
    ...(figures.catchUpMs !== null && { catchUp: catchUp(figures.catchUpMs) }),
    ...input.scaling,
  }
}

const sinksOf = (spec: Spec | null): Sink[] =>
  spec?.sinks.elasticsearch ? ['postgres', 'elasticsearch'] : ['postgres']

/** A sink that has received a result stays reached; one that is added later must receive one first. */
function reached({ spec, reports, previous }: StatusInput): Sink[] {
  const hasSome: Record<Sink, boolean> = {
    postgres: reports.some(({ counters }) => counters.records > 0),
    elasticsearch: reports.some(({ counters }) => counters.projectedRows > 0),
  }
  return sinksOf(spec).filter(sink => hasSome[sink] || previous.sinksReached?.includes(sink))
}

function ready(input: StatusInput, isEverySinkReached: boolean): Verdict {
  const { obstacle, trouble, workers, reports, spec } = input
  const notReady = ({ reason, message }: Trouble): Verdict => ({ status: 'False', reason, message })
  if (obstacle) return notReady(obstacle)
  if (workers.desired === 0) return notReady({ reason: 'Paused', message: 'paused: spec.workers.replicas is 0' })
  // A worker's report is more exact than its pod's status: it names the store, the topic or the offset.
  const reported = reports.flatMap(report => blocking(report))[0]
  if (reported) return notReady(reported)
  if (trouble) return notReady(trouble)
  if (workers.ready === 0) return notReady({ reason: 'WorkersStarting', message: readyText(input) })
  if (!isEverySinkReached)
    return notReady({
      reason: 'AwaitingFirstResult',
      message: `waiting for the first sale from topic ${spec?.source.topic} to reach all sinks; check the producers. If you send a sale yourself, it stays in the results`,
    })
  return { status: 'True', reason: 'Streaming', message: 'results reach every sink' }
}

/** Conditions that a worker reports and that keep it from its work. */
export function blocking(report: WorkerReport): Trouble[] {
  return reportedBy(report)
    .filter(({ reason }) => !INFORMATIONAL.has(reason))
    .map(({ reason, message }) => ({ reason, message: `pod ${report.pod}: ${message}` }))
}

const reportedBy = ({ conditions }: WorkerReport): Trouble[] =>
  Object.entries(conditions).map(([code, message]) => ({ reason: code as ReportedCode, message }))

function accepted({ obstacle, spec }: StatusInput): Verdict {
  if (obstacle) return { status: 'False', reason: obstacle.reason, message: obstacle.message }
  return { status: spec ? 'True' : 'Unknown', reason: 'Applied', message: 'all objects of the spec are applied' }
}

function workersReady(input: StatusInput): Verdict {
  const { ready, desired } = input.workers
  if (ready >= desired)
    return { status: 'True', reason: 'AllWorkersReady', message: `${ready} of ${desired} workers ready` }
  const { reason, message } = input.trouble ?? { reason: 'WorkersNotReady', message: readyText(input) }
  return { status: 'False', reason, message }
}

/** Names some of the pods that are not ready; there are none until Kubernetes has created them. */
function readyText({ workers: { ready, desired }, unready }: StatusInput): string {
  const counts = `${ready} of ${desired} workers ready`
  if (unready.length === 0) return counts
  const more = unready.length > MAX_NAMED_PODS ? ` and ${unready.length - MAX_NAMED_PODS} more` : ''
  const pods = unready.slice(0, MAX_NAMED_PODS).join(', ')
  return `${counts}; not ready: ${pods}${more}. If this lasts, run kubectl describe pod for them`
}

/** Shows whether the spec or the autoscaler sets the number of workers; null while autoscaling is off. */
function autoscaling({ spec, scaling }: StatusInput): Verdict | null {
  const mode = spec?.workers.autoscale.mode ?? 'off'
  if (mode === 'off') return null
  const target = scaling.autoscale
    ? `The autoscaler recommends ${scaling.autoscale.target} workers (${scaling.autoscale.reason})`
    : 'The autoscaler has not decided yet'
  return mode === 'active'
    ? {
        status: 'True',
        reason: 'AutoscalerInControl',
        message: `the autoscaler sets the number of workers and ignores spec.workers.replicas. ${target}`,
      }
    : {
        status: 'False',
        reason: 'ObserveOnly',
        message: `spec.workers.replicas sets the number of workers; the autoscaler only recommends. ${target}`,
      }
}

/** Weaker guarantees while everything runs; null when there are none. Those of workers come first: alerts fire for them. */
function notice(input: StatusInput): Verdict | null {
  const { reports, spec } = input
  const weaker = reports.flatMap(reportedBy).filter(({ reason }) => INFORMATIONAL.has(reason))
  const byCode = [...new Map(weaker.map(({ reason, message }) => [reason, message]))].sort()
  const idle = idleWorkers(input)
  if (idle) byCode.push([idle.reason, idle.message])
  if (spec && isOpenIngest(spec)) byCode.push(['IngestUnauthenticated', OPEN_INGEST])
  if (byCode.length === 0) return null
  const message = byCode.map(([code, text]) => `${code}: ${text}`).join('\n')
  return { status: 'True', reason: byCode[0]![0], message }
}

function conditionsOf(
  verdicts: Record<string, Verdict | null>,
  { previous, generation, now }: StatusInput,
): Condition[] {
  return Object.entries(verdicts).flatMap(([type, verdict]) => {
    if (!verdict) return []
    const before = previous.conditions?.find(condition => condition.type === type)
    const lastTransitionTime = before?.status === verdict.status ? before.lastTransitionTime : secondsOf(now)
    const message = reportText(verdict.message)
    return [{ type, ...verdict, message, observedGeneration: generation, lastTransitionTime }]
  })
}

function catchUp(ms: number): string {
  if (ms === Infinity) return 'never'
  return formatDuration(Math.round(ms / 1000) * 1000 || 0)
}

const secondsOf = (ms: number) => `${new Date(ms).toISOString().slice(0, 19)}Z`
