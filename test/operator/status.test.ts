import { describe, expect, it } from 'vitest'
import { figuresOf, UNKNOWN } from '#operator/observe/figures.ts'
import { isReady, troubleOf } from '#operator/observe/pods.ts'
import type { WorkerReport } from '#operator/observe/report.ts'
import { deriveStatus, type StatusInput } from '#operator/status/status.ts'
import { checkPipeline } from '#pipeline/parse.ts'
import type { Spec } from '#pipeline/schema.ts'
import { documentWith } from '../pipeline/documents.ts'

const { spec } = checkPipeline(documentWith({}))
const projected = checkPipeline(
  documentWith({ 'spec.sinks': { elasticsearch: { projections: [{ aggregation: 'by_store', index: 'a' }] } } }),
).spec

function report(more: Partial<WorkerReport> = {}): WorkerReport {
  return {
    pod: 'w-1',
    at: 10_000,
    startedAt: 1000,
    member: 'w-1-x',
    topicPartitions: 8,
    conditions: {},
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

function input(more: Partial<StatusInput> = {}): StatusInput {
  const workers = { replicas: 2, ready: 2, desired: 2, selector: 'a=b' }
  const empty = {
    obstacle: null,
    unready: [],
    trouble: null,
    reports: [report()],
    figures: UNKNOWN,
    previous: {},
    scaling: {},
  }
  return { generation: 3, now: Date.UTC(2026, 0, 2), spec, workers, ...empty, ...more }
}

const readyOf = (more: Partial<StatusInput>) => {
  const { status, reason, message } = deriveStatus(input(more)).conditions.find(({ type }) => type === 'Ready')!
  return `${status} ${reason}: ${message}`
}

describe('the condition Ready', () => {
  it.each<[string, Partial<StatusInput>, string]>([
    ['all is well', {}, 'True Streaming: results reach every sink'],
    [
      'no sale has arrived yet',
      { reports: [report({ counters: { records: 0, busySeconds: 0, projectedRows: 0 } })] },
      'False AwaitingFirstResult: waiting for the first sale from topic sales to reach all sinks; check the producers. If you send a sale yourself, it stays in the results',
    ],
    [
      'the projection has nothing yet',
      { spec: projected },
      'False AwaitingFirstResult: waiting for the first sale from topic sales to reach all sinks; check the producers. If you send a sale yourself, it stays in the results',
    ],
    [
      'no worker is ready',
      { workers: { replicas: 2, ready: 0, desired: 2, selector: '' } },
      'False WorkersStarting: 0 of 2 workers ready',
    ],
    [
      'many workers are not ready',
      {
        workers: { replicas: 7, ready: 0, desired: 7, selector: '' },
        unready: ['w-1', 'w-2', 'w-3', 'w-4', 'w-5', 'w-6', 'w-7'],
      },
      'False WorkersStarting: 0 of 7 workers ready; not ready: w-1, w-2, w-3, w-4, w-5 and 2 more. If this lasts, run kubectl describe pod for them',
    ],
    [
      'the pipeline is paused',
      { workers: { replicas: 0, ready: 0, desired: 0, selector: '' }, reports: [] },
      'False Paused: paused: spec.workers.replicas is 0',
    ],
    [
      'PostgreSQL rejects the password',
      {
        reports: [
          report(),
          report({ pod: 'w-2', conditions: { StoreUnavailable: 'PostgreSQL refused the password' } }),
        ],
      },
      'False StoreUnavailable: pod w-2: PostgreSQL refused the password',
    ],
    [
      'a pod cannot start',
      { trouble: { reason: 'ImageCannotBePulled', message: 'pod w-1' } },
      'False ImageCannotBePulled: pod w-1',
    ],
    [
      'a worker reports a more exact reason than its pod',
      {
        trouble: { reason: 'WorkerCrashLooping', message: 'x' },
        reports: [report({ conditions: { TopicMissing: 'make it' } })],
      },
      'False TopicMissing: pod w-1: make it',
    ],
    [
      'a Secret is missing',
      {
        obstacle: { reason: 'SecretMissing', message: 'pg' },
        trouble: { reason: 'ContainerConfigInvalid', message: 'x' },
      },
      'False SecretMissing: pg',
    ],
    [
      'a guarantee is only weakened',
      { reports: [report({ conditions: { WeakFutureGuard: 'x' } })] },
      'True Streaming: results reach every sink',
    ],
  ])('is derived when %s', (_when, more, condition) => expect(readyOf(more)).toBe(condition))

  it('stays True after results reached every sink, although restarted workers count from 0 again', () => {
    const previous = deriveStatus(input())
    expect(previous.firstResultAt).toBe('2026-01-02T00:00:00.000Z')
    const fresh = [report({ counters: { records: 0, busySeconds: 0, projectedRows: 0 } })]
    expect(readyOf({ previous, reports: fresh })).toMatch(/^True/)
    expect(deriveStatus(input({ previous, reports: fresh })).firstResultAt).toBe(previous.firstResultAt)
  })

  it('is False until a sink that is added later has received a result', () => {
    const previous = deriveStatus(input())
    expect(previous.sinksReached).toEqual(['postgres'])
    expect(readyOf({ spec: projected, previous })).toMatch(/^False AwaitingFirstResult/)
    const shown = [report({ counters: { records: 100, busySeconds: 2.5, projectedRows: 3 } })]
    expect(readyOf({ spec: projected, previous, reports: shown })).toMatch(/^True/)
  })

  it('keeps the time of its last transition', () => {
    const before = deriveStatus(input())
    const later = deriveStatus(input({ now: Date.UTC(2026, 0, 3), previous: before }))
    expect(later.conditions).toEqual(before.conditions)
    const failed = deriveStatus(
      input({ now: Date.UTC(2026, 0, 3), previous: before, trouble: { reason: 'WorkerCrashLooping', message: 'x' } }),
    )
    expect(failed.conditions[0]).toMatchObject({
      type: 'Ready',
      lastTransitionTime: '2026-01-03T00:00:00Z',
      observedGeneration: 3,
    })
  })

  it('stays True while the condition Notice reports a weaker guarantee', () => {
    const { conditions } = deriveStatus(input({ reports: [report({ conditions: { WeakFutureGuard: 'set it' } })] }))
    expect(conditions.find(({ type }) => type === 'Notice')).toMatchObject({
      reason: 'WeakFutureGuard',
      message: 'WeakFutureGuard: set it',
    })
  })

  it('stays True while Notice reports an ingest without authentication, after what workers report', () => {
    const reasons = (ingest: Partial<Spec['ingest']>, conditions = {}) => {
      const open = { ...spec, ingest: { ...spec.ingest, replicas: 1, ...ingest } }
      const status = deriveStatus(input({ spec: open, reports: [report({ conditions })] }))
      const { reason, message = '' } = status.conditions.find(({ type }) => type === 'Notice') ?? {}
      return [status.conditions[0]!.status, reason, ...message.matchAll(/^\w+(?=:)/gm)].map(String)
    }
    const name = 'IngestUnauthenticated'
    expect(reasons({})).toEqual(['True', name, name])
    expect(reasons({}, { WeakFutureGuard: 'x' })).toEqual(['True', 'WeakFutureGuard', 'WeakFutureGuard', name])
    expect(reasons({ tokensSecretRef: { name: 'a', key: 'b' } })).toEqual(['True', 'undefined'])
    expect(reasons({ replicas: 0 })).toEqual(['True', 'undefined'])
  })
})

describe('the figures of a pipeline', () => {
  const partitions = (lag: number, count = 8) => Array.from({ length: count }, (_, partition) => ({ partition, lag }))
  const earlier = {
    reports: [report({ at: 5000, counters: { records: 0, busySeconds: 0, projectedRows: 0 } })],
    lag: 800,
    at: 5000,
  }

  it('are rates from differences: 100 records in 5 s, busy for half of them, are 40 per busy second', () => {
    const now = figuresOf([report({ partitions: partitions(50) })], earlier, 10_000)
    // Lag fell by 400 in 5 s while 20 records/s were processed: none arrived.
    expect(now).toMatchObject({
      lag: 400,
      doneRate: 20,
      trueRate: 40,
      arrivalRate: 0,
      catchUpMs: 10_000,
      delayP99: 0.114,
    })
  })

  it('count records behind an open transaction as lag and as arrivals, but not as backlog', () => {
    const open = partitions(150).map(partition => ({ ...partition, undecided: 100 }))
    expect(figuresOf([report({ partitions: open })], earlier, 10_000)).toMatchObject({
      lag: 1200,
      backlog: 400,
      arrivalRate: 100,
    })
  })

  it('give an infinite time to catch up when more records arrive than can be processed', () =>
    expect(figuresOf([report({ partitions: partitions(200) })], earlier, 10_000)).toMatchObject({
      arrivalRate: 180,
      catchUpMs: Infinity,
    }))

  it('are unknown while a partition has no owner or after a worker restarted', () => {
    expect(figuresOf([report({ partitions: partitions(1, 7) })], earlier, 10_000).lag).toBeNull()
    const restarted = report({ counters: { records: 3, busySeconds: 1, projectedRows: 0 } })
    const before = {
      ...earlier,
      reports: [report({ at: 5000, counters: { records: 900, busySeconds: 9, projectedRows: 0 } })],
    }
    expect(figuresOf([restarted], before, 10_000)).toMatchObject({
      doneRate: null,
      trueRate: null,
      arrivalRate: null,
    })
    expect(figuresOf([], earlier, 10_000)).toEqual(UNKNOWN)
  })
})

describe('the trouble of pods', () => {
  const pod = (status: object, metadata: object = {}) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'w-1', ...metadata },
    status,
  })
  const waiting = (reason: string, message: string, more: object = {}) =>
    pod({
      containerStatuses: [
        {
          name: 'processor',
          image: 'processor:9',
          ready: false,
          restartCount: 4,
          state: { waiting: { reason, message } },
          ...more,
        },
      ],
    })

  const restarted = (terminated: object, more: object = {}) =>
    waiting('', '', { restartCount: 2, state: { running: {} }, lastState: { terminated }, ...more })

  it.each<[object, string]>([
    [
      waiting('ImagePullBackOff', 'not found'),
      'ImageCannotBePulled: pod w-1, container processor: cannot pull image processor:9: not found',
    ],
    [
      waiting('CreateContainerConfigError', "couldn't find key password in Secret shop/pg"),
      "ContainerConfigInvalid: pod w-1, container processor cannot be created: couldn't find key password in Secret shop/pg",
    ],
    [
      waiting('CrashLoopBackOff', 'back-off', {
        lastState: { terminated: { exitCode: 2, message: 'a\n{"msg":"worker exiting","error":"set PGUSER"}\n' } },
      }),
      'WorkerCrashLooping: pod w-1, container processor crashed 4 times, last exit code 2: worker exiting: set PGUSER',
    ],
    [
      restarted({
        exitCode: 1,
        message: '{"msg":"worker exiting","error":"TopicCompacted: mend it","code":"TopicCompacted"}',
      }),
      'TopicCompacted: pod w-1, container processor crashed 2 times, last exit code 1: worker exiting: TopicCompacted: mend it',
    ],
    [
      pod({ conditions: [{ type: 'PodScheduled', status: 'False', message: '0/3 nodes: Insufficient memory' }] }),
      'PodUnschedulable: pod w-1 cannot be scheduled: 0/3 nodes: Insufficient memory',
    ],
  ])('is found in their status: %j', (status, expected) => {
    const trouble = troubleOf([status as never])!
    expect(`${trouble.reason}: ${trouble.message}`).toBe(expected)
  })

  it('is none while they start or terminate', () => {
    expect(troubleOf([pod({}), waiting('ContainerCreating', '')] as never)).toBeNull()
    const [killed, stopped] = [{ exitCode: 137 }, { exitCode: 0 }]
    const healthy = [restarted(killed, { ready: true }), restarted(killed, { restartCount: 1 }), restarted(stopped)]
    expect(troubleOf(healthy as never)).toBeNull()
    const terminating = { ...waiting('CrashLoopBackOff', ''), metadata: { name: 'w-1', deletionTimestamp: 'x' } }
    expect(troubleOf([terminating] as never)).toBeNull()
    const status = { conditions: [{ type: 'Ready', status: 'True' }] }
    expect([isReady(pod(status)), isReady(pod(status, { deletionTimestamp: 'x' })), isReady(pod({}))]).toEqual([
      true,
      false,
      false,
    ])
  })
})

describe('idle workers', () => {
  const noticeOf = (desired: number, partitions: number, autoscale?: object) => {
    const workers = { replicas: desired, ready: desired, desired, selector: 'a=b' }
    const figures = { ...UNKNOWN, partitions }
    const changed = autoscale ? checkPipeline(documentWith({ 'spec.workers': { autoscale } })).spec : spec
    const { conditions } = deriveStatus(input({ workers, figures, spec: changed }))
    const notice = conditions.find(({ type }) => type === 'Notice')
    return notice && `${notice.status} ${notice.reason}: ${notice.message}`
  }

  it('are reported with their number and what to do', () =>
    expect(noticeOf(12, 8)).toBe(
      'True WorkersIdle: WorkersIdle: 12 workers for 8 partitions of topic sales: 4 workers are idle; set spec.workers.replicas to 8 or less, or add partitions',
    ))
  it('are those of the autoscaler’s minimum if it sets the number', () =>
    expect(noticeOf(9, 8, { mode: 'active', min: 9, max: 12 })).toContain(
      '1 worker is idle; set spec.workers.autoscale.min to 8 or less',
    ))
  it('are not reported when each worker can have a partition', () => expect(noticeOf(8, 8)).toBeUndefined())
  it('are not reported while the number of partitions is unknown', () => expect(noticeOf(12, 0)).toBeUndefined())
})
