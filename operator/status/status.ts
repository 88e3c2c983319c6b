/** Derives the status of a pipeline from what was observed. Pure. */

import { reportText } from '#common/redact.ts'
import { byCause, INFORMATIONAL } from '#pipeline/conditions.ts'
import { isOpenIngest, OPEN_INGEST } from '#pipeline/secrets.ts'
import { formatDuration } from '#pipeline/units.ts'
import { idleWorkers } from './idle.ts'
import { type Condition, readyText, type Sink, type Status, type StatusInput, sinksOf, type Verdict } from './input.ts'
import { readiness, reportedBy } from './ready.ts'
import { rolloutOf } from './rollout.ts'

export function deriveStatus(input: StatusInput): Status {
  const { generation, previous, workers, figures, now } = input
  const sinksReached = reached(input)
  const isEvery = sinksOf(input.spec).every(sink => sinksReached.includes(sink))
  const firstResultAt = previous.firstResultAt ?? (isEvery ? new Date(now).toISOString() : undefined)
  const { Ready: ready, ...progress } = readiness(input, rolloutOf(input))
  const verdicts: Record<string, Verdict | null> = {
    Ready: ready,
    Accepted: accepted(input),
    WorkersReady: workersReady(input),
    ...progress,
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

/** A sink that has received a result stays reached; one that is added later must receive one first. */
function reached({ spec, reports, previous }: StatusInput): Sink[] {
  const hasSome: Record<Sink, boolean> = {
    postgres: reports.some(({ counters }) => counters.records > 0),
    elasticsearch: reports.some(({ counters }) => counters.projectedRows > 0),
  }
  return sinksOf(spec).filter(sink => hasSome[sink] || previous.sinksReached?.includes(sink))
}

function accepted({ obstacle, spec, topic }: StatusInput): Verdict {
  if (obstacle) return { status: 'False', reason: obstacle.reason, message: obstacle.message }
  const message = ['all objects of the spec are applied', ...(topic?.foreign ? [topic.foreign] : [])].join('. ')
  return { status: spec ? 'True' : 'Unknown', reason: 'Applied', message }
}

function workersReady(input: StatusInput): Verdict {
  const { ready, desired } = input.workers
  if (ready >= desired)
    return { status: 'True', reason: 'AllWorkersReady', message: `${ready} of ${desired} workers ready` }
  const { reason, message } = byCause(input.troubles)[0] ?? { reason: 'WorkersNotReady', message: readyText(input) }
  return { status: 'False', reason, message }
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

/** Weaker guarantees while everything runs; null when there are none. Each reason appears once, the root cause first. */
function notice(input: StatusInput): Verdict | null {
  const { reports, notices, spec, topic } = input
  const weaker = [...notices, ...reports.flatMap(reportedBy).filter(({ reason }) => INFORMATIONAL.has(reason))]
  for (const trouble of [topic?.notice, idleWorkers(input)]) if (trouble) weaker.push(trouble)
  if (spec && isOpenIngest(spec)) weaker.push({ reason: 'IngestUnauthenticated', message: OPEN_INGEST })
  const ordered = byCause(weaker).filter(({ reason }, i, all) => reason !== all[i - 1]?.reason)
  if (ordered.length === 0) return null
  const message = ordered.map(({ reason, message }) => `${reason}: ${message}`).join('\n')
  return { status: 'True', reason: ordered[0]!.reason, message }
}

function conditionsOf(
  verdicts: Record<string, Verdict | null>,
  { previous, generation, now }: StatusInput,
): Condition[] {
  return Object.entries(verdicts).flatMap(([type, verdict]) => {
    if (!verdict) return []
    const before = previous.conditions?.find(condition => condition.type === type)
    // The deadline of a rollout begins again with each generation.
    const isSame = type !== 'Reconciling' || before?.observedGeneration === generation
    const lastTransitionTime = isSame && before?.status === verdict.status ? before.lastTransitionTime : secondsOf(now)
    const message = reportText(verdict.message)
    return [{ type, ...verdict, message, observedGeneration: generation, lastTransitionTime }]
  })
}

function catchUp(ms: number): string {
  if (ms === Infinity) return 'never'
  return formatDuration(Math.round(ms / 1000) * 1000 || 0)
}

const secondsOf = (ms: number) => `${new Date(ms).toISOString().slice(0, 19)}Z`
