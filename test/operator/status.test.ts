import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { figuresOf, UNKNOWN } from '#operator/observe/figures.ts'
import { isReady, type Trouble, troubleOf } from '#operator/observe/pods.ts'
import { refusalsOf } from '#operator/observe/refusals.ts'
import type { StatusInput } from '#operator/status/input.ts'
import { deriveStatus } from '#operator/status/status.ts'
import { CONDITIONS, causeRank, codesWhere } from '#pipeline/conditions.ts'
import { checkPipeline } from '#pipeline/parse.ts'
import type { Spec } from '#pipeline/schema.ts'
import { documentWith } from '../pipeline/documents.ts'
import { check } from '../support/properties.ts'
import { ALL, IN_FORCE, input, NO_PROOF, NOTHING, projected, report, spec } from './status-fixture.ts'

const readyOf = (more: Partial<StatusInput>) => {
  const { status, reason, message } = deriveStatus(input(more)).conditions.find(({ type }) => type === 'Ready')!
  return `${status} ${reason}: ${message}`
}

describe('the condition Ready', () => {
  it.each<[string, Partial<StatusInput>, string]>([
    ['all is well', {}, 'True Streaming: results reach every sink'],
    [
      'no sale has arrived yet',
      { reports: [report({ counters: NOTHING })] },
      'True Streaming: every partition of topic sales has a worker, and every sink accepts results; no sale has arrived yet',
    ],
    [
      'a partition has no worker with the newest spec',
      { reports: [report({ proof: { partitions: [0, 1, 2, 3, 4], sinks: ['postgres'] } })] },
      'Unknown RollingOut: generation 3 is not in force yet: 2 of 2 pods run its spec; they have not claimed partitions 5, 6, 7, or PostgreSQL has not accepted an empty commit for these yet',
    ],
    [
      'only workers of an earlier spec report, although results reach every sink',
      { current: new Set(['w-2']), reports: [report(), report({ pod: 'w-2', topicPartitions: 0, proof: NO_PROOF })] },
      'Unknown RollingOut: generation 3 is not in force yet: 1 of 2 pods run its spec; none of them has joined the consumer group yet',
    ],
    [
      'a worker of release 0.3.0 proves nothing',
      { reports: [report({ proof: undefined })] },
      'Unknown RollingOut: generation 3 is not in force yet: 2 of 2 pods run its spec; they have not claimed partitions 0, 1, 2, 3, 4 and 3 more, or PostgreSQL has not accepted an empty commit for these yet',
    ],
    [
      'Elasticsearch has not accepted a write',
      { spec: projected, reports: [report({ proof: { partitions: ALL, sinks: ['postgres'] } })] },
      'Unknown RollingOut: generation 3 is not in force yet: 2 of 2 pods run its spec; sink elasticsearch has not accepted their writes yet',
    ],
    [
      'a sink refuses the first real write',
      {
        spec: projected,
        previous: IN_FORCE,
        reports: [report({ conditions: { ProjectionRejected: 'the sink rejected 1 rows' } })],
      },
      'False ProjectionRejected: pod w-1: the sink rejected 1 rows',
    ],
    [
      'a worker of the earlier spec waits for its replacement',
      {
        current: new Set(['w-2']),
        reports: [report({ conditions: { GenerationOutdated: 'x' } }), report({ pod: 'w-2', proof: NO_PROOF })],
      },
      expect.stringMatching(/^Unknown RollingOut: generation 3 is not in force yet: 1 of 2 pods/),
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
      'PostgreSQL is down, and another worker reported first that rows are not projected',
      {
        reports: [
          report({ conditions: { ProjectionBehind: 'y' } }),
          report({
            pod: 'w-2',
            conditions: { ProjectionBehind: 'x', StoreUnavailable: 'PostgreSQL does not respond' },
          }),
        ],
      },
      'False StoreUnavailable: pod w-2: PostgreSQL does not respond. Also reported: ProjectionBehind',
    ],
    [
      'pods are refused and another worker lacks memory',
      {
        troubles: [
          { reason: 'WorkerOutOfMemory', message: 'pod w-2' },
          { reason: 'PodsRefused', message: 'quota' },
        ],
      },
      'False PodsRefused: quota. Also reported: WorkerOutOfMemory',
    ],
    [
      'a pod cannot start',
      { troubles: [{ reason: 'ImageCannotBePulled', message: 'pod w-1' }] },
      'False ImageCannotBePulled: pod w-1',
    ],
    [
      'a worker reports a more exact reason than its pod',
      {
        troubles: [{ reason: 'WorkerCrashLooping', message: 'x' }],
        reports: [report({ conditions: { TopicMissing: 'make it' } })],
      },
      'False TopicMissing: pod w-1: make it. Also reported: WorkerCrashLooping',
    ],
    [
      'a Secret is missing',
      {
        troubles: [
          { reason: 'ContainerConfigInvalid', message: 'x' },
          { reason: 'SecretMissing', message: 'pg' },
        ],
      },
      'False SecretMissing: pg. Also reported: ContainerConfigInvalid',
    ],
    [
      'a guarantee is only weakened',
      { reports: [report({ conditions: { WeakFutureGuard: 'x' } })] },
      'True Streaming: results reach every sink',
    ],
  ])('derives Ready when %s', (_when, more, condition) => expect(readyOf(more)).toEqual(condition))

  it('shows the same root cause for any set of conditions, whichever worker reports them first', () => {
    // During a rollout, GenerationOutdated is expected of the earlier workers.
    const blockers = codesWhere(({ raisedBy, blocking }) => raisedBy === 'worker' && blocking).filter(
      code => code !== 'GenerationOutdated',
    )
    const ofPods = codesWhere(({ raisedBy, types }) => raisedBy === 'operator' && types.includes('WorkersReady'))
    const codes = fc.constantFrom(...blockers, ...ofPods.filter(code => CONDITIONS[code].blocking), 'NewerThanThis')
    const facts = fc.uniqueArray(fc.tuple(codes, fc.nat(3)), { minLength: 1, maxLength: 10, selector: String })
    const twice = facts.chain(set => fc.tuple(fc.constant(set), fc.shuffledSubarray(set, { minLength: set.length })))
    const shown = (set: [string, number][]) => {
      const isOfPod = ([code]: [string, number]) =>
        (ofPods as string[]).includes(code) && !(blockers as string[]).includes(code)
      const troubles = set.filter(isOfPod).map(([code, pod]) => ({ reason: code as never, message: `pod w-${pod}` }))
      const reported = Map.groupBy(
        set.filter(fact => !isOfPod(fact)),
        ([, pod]) => pod,
      )
      const reports = [...reported].map(([pod, of]) =>
        report({ pod: `w-${pod}`, conditions: Object.fromEntries(of.map(([code]) => [code, 'x'])) }),
      )
      return readyOf({ troubles, reports })
    }
    const isRoot = ([set, reordered]: [[string, number][], [string, number][]]) => {
      const first = shown(set)
      expect(shown(reordered)).toBe(first)
      const root = /^False (\w+): /.exec(first)![1]!
      expect(set.map(([code]) => code)).toContain(root)
      for (const [code] of set) expect(causeRank(code)).toBeGreaterThanOrEqual(causeRank(root))
    }
    check(fc.property(twice, isRoot))
  })

  it('stays True after results reached every sink, although restarted workers count from 0 again', () => {
    expect(IN_FORCE.firstResultAt).toBe('2026-01-02T00:00:00.000Z')
    const fresh = [report({ counters: NOTHING })]
    expect(readyOf({ previous: IN_FORCE, reports: fresh })).toBe('True Streaming: results reach every sink')
    expect(deriveStatus(input({ previous: IN_FORCE, reports: fresh })).firstResultAt).toBe(IN_FORCE.firstResultAt)
  })

  it('stays True while a partition moves or a pod is replaced, once the generation is in force', () => {
    const moving = { previous: IN_FORCE, reports: [report({ proof: NO_PROOF })] }
    expect(readyOf(moving)).toMatch(/^True Streaming/)
    expect(readyOf({ ...moving, current: new Set() })).toMatch(/^True Streaming/)
    expect(readyOf({ ...moving, generation: 4 })).toMatch(/^Unknown RollingOut: generation 4/)
  })

  it('reports Ready as Unknown until a sink that is added later accepts writes, and does not wait for a result', () => {
    expect(IN_FORCE.sinksReached).toEqual(['postgres'])
    const added = { spec: projected, previous: IN_FORCE, generation: 4 }
    expect(readyOf({ ...added, reports: [report({ proof: { partitions: ALL, sinks: ['postgres'] } })] })).toMatch(
      /^Unknown RollingOut/,
    )
    expect(readyOf(added)).toMatch(/^True/)
    expect(deriveStatus(input(added)).sinksReached).toEqual(['postgres'])
  })

  it('keeps the time of its last transition', () => {
    const before = deriveStatus(input())
    const later = deriveStatus(input({ now: Date.UTC(2026, 0, 3), previous: before }))
    expect(later.conditions).toEqual(before.conditions)
    const failed = deriveStatus(
      input({
        now: Date.UTC(2026, 0, 3),
        previous: before,
        troubles: [{ reason: 'WorkerCrashLooping', message: 'x' }],
      }),
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

  it('computes rates from differences: 100 records in 5 s, busy for half of them, are 40 per busy second', () => {
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

  it('reports no figures while a partition has no owner or after a worker restarted', () => {
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

describe('pods that Kubernetes refuses', () => {
  const refused = (message: string, more: object = {}) => ({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'shop-processor', namespace: 'shop' },
    status: { conditions: [{ type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message, ...more }] },
  })
  const forbidden = (why: string) => `pods "shop-processor-6d4-x7k2p" is forbidden: ${why}`

  it.each([
    [
      forbidden(
        'exceeded quota: compute, requested: limits.memory=512Mi, used: limits.memory=0, limited: limits.memory=256Mi',
      ),
      'exceeded quota: compute, requested: limits.memory=512Mi, used: limits.memory=0, limited: limits.memory=256Mi. Raise ResourceQuota compute, or lower spec.workers.resources or spec.workers.replicas',
    ],
    [
      forbidden('failed quota: compute: must specify limits.cpu for: processor'),
      'failed quota: compute: must specify limits.cpu for: processor. Set the requests and limits that ResourceQuota compute asks for in spec.workers.resources',
    ],
    [
      forbidden('status unknown for quota: compute, resources: pods'),
      expect.stringMatching(/Kubernetes has not counted what ResourceQuota compute covers yet; it tries again$/),
    ],
    [
      forbidden('maximum memory usage per Container is 128Mi, but limit is 512Mi'),
      'maximum memory usage per Container is 128Mi, but limit is 512Mi. Set spec.workers.resources to values that the LimitRange of the namespace allows, or change the LimitRange',
    ],
    [
      forbidden('violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false'),
      expect.stringMatching(/The pods meet the level restricted: check which field/),
    ],
    [
      'admission webhook "validate.kyverno.svc" denied the request: no label team',
      'admission webhook "validate.kyverno.svc" denied the request: no label team. Change the policy behind webhook validate.kyverno.svc, or make an exception for the pods of this pipeline',
    ],
    [
      'Internal error occurred: failed calling webhook "inject.mesh.io": no endpoints available',
      expect.stringMatching(/Webhook inject.mesh.io does not respond/),
    ],
    [
      forbidden("ValidatingAdmissionPolicy 'teams' with binding 'all' denied request: no label team"),
      expect.stringMatching(/Change ValidatingAdmissionPolicy teams, or make an exception/),
    ],
    [
      forbidden('error looking up service account shop/x: serviceaccount "x" not found'),
      expect.stringMatching(/ServiceAccount exists/),
    ],
    [
      forbidden('no PriorityClass with name x was found'),
      expect.stringMatching(/Change the policy that the message names/),
    ],
  ])('names refused pods with what to do: %s', (said, expected) => {
    const [{ reason, message }] = refusalsOf(refused(said)) as [Trouble]
    expect(reason).toBe('PodsRefused')
    const start = 'Kubernetes refuses pods of Deployment shop-processor: '
    expect([message.slice(0, start.length), message.slice(start.length)]).toEqual([start, expected])
  })

  it('names refused pods of the ingest in a notice, with its own fields', () => {
    const ingest = refused(forbidden('exceeded quota: compute, requested: pods=1'))
    const labels = { 'app.kubernetes.io/component': 'ingest' }
    const notices = refusalsOf({ ...ingest, metadata: { name: 'shop-ingest', namespace: 'shop', labels } })
    const { conditions } = deriveStatus(input({ notices }))
    expect(conditions.find(({ type }) => type === 'Ready')).toMatchObject({ status: 'True' })
    expect(conditions.find(({ type }) => type === 'Notice')).toMatchObject({
      reason: 'PodsRefused',
      message: expect.stringMatching(
        /^PodsRefused: .*shop-ingest.* lower spec.ingest.resources or spec.ingest.replicas$/,
      ),
    })
  })

  it('names no refused pods while the Deployment creates its pods, or while only their deletion fails', () => {
    expect(refusalsOf(undefined)).toEqual([])
    expect(refusalsOf({ ...refused(''), status: {} })).toEqual([])
    expect(refusalsOf(refused('x', { status: 'False' }))).toEqual([])
    expect(refusalsOf(refused('x', { reason: 'FailedDelete' }))).toEqual([])
  })
})

describe('the trouble of pods', () => {
  const pod = (status: object, metadata: object = {}) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'w-1', namespace: 'shop', ...metadata },
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

  /** The container reads a key of a Secret as a file. */
  const withTokens = (crashed: object) => ({
    ...crashed,
    spec: {
      containers: [{ name: 'processor', volumeMounts: [{ name: 'tokens', mountPath: '/etc/ingest/tokens' }] }],
      volumes: [{ name: 'config' }, { name: 'tokens', secret: { secretName: 'clients', items: [{ key: 'list' }] } }],
    },
  })

  /** The last log line of a worker that was killed: a condition that was raised much earlier. */
  const WARNING = '{"level":"warn","code":"WeakFutureGuard","msg":"WeakFutureGuard: set it"}'
  const limited = (killed: object) => ({
    ...killed,
    spec: {
      containers: [
        { name: 'proxy', resources: { limits: { memory: '64Mi' } } },
        { name: 'processor', resources: { limits: { memory: '512Mi' } } },
        { name: 'ingest', resources: { limits: { memory: '256Mi' } } },
      ],
    },
  })

  it.each<[object, string]>([
    [
      waiting('ImagePullBackOff', 'not found'),
      'ImageCannotBePulled: pod w-1, container processor: cannot pull image processor:9: not found',
    ],
    [
      waiting('CreateContainerConfigError', "couldn't find key password in Secret shop/pg"),
      'SecretMissing: pod w-1, container processor: Secret pg in namespace shop has no key password. Add the key or correct the spec; the pod then starts automatically',
    ],
    [
      waiting('CreateContainerConfigError', 'secret "pg" not found'),
      'SecretMissing: pod w-1, container processor: Secret pg does not exist in namespace shop. Create it or correct the spec; the pod then starts automatically',
    ],
    [
      waiting('CreateContainerConfigError', 'container has runAsNonRoot and image will run as root'),
      'ContainerConfigInvalid: pod w-1, container processor cannot be created: container has runAsNonRoot and image will run as root',
    ],
    [
      withTokens(
        restarted({
          exitCode: 1,
          message: "cannot read /etc/ingest/tokens/tokens (ENOENT: no such file, stat '/etc')",
        }),
      ),
      'SecretMissing: pod w-1, container processor: Secret clients does not exist in namespace shop, or has no key list. Add the key or correct the spec; the pod then starts automatically',
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
        message: '{"level":"error","msg":"worker exiting","error":"TopicCompacted: mend it","code":"TopicCompacted"}',
      }),
      'TopicCompacted: pod w-1, container processor crashed 2 times, last exit code 1: worker exiting: TopicCompacted: mend it',
    ],
    [
      restarted({ exitCode: 1, message: WARNING }),
      'WorkerCrashLooping: pod w-1, container processor crashed 2 times, last exit code 1: the log ends without an error; its last line is: WeakFutureGuard: set it',
    ],
    [
      limited(restarted({ exitCode: 137, reason: 'OOMKilled', message: WARNING }, { restartCount: 3 })),
      'WorkerOutOfMemory: pod w-1, container processor was killed because it used more than its memory limit of 512Mi (OOMKilled, 3 restarts). Raise spec.workers.resources.limits.memory and requests.memory',
    ],
    [
      limited(
        restarted({
          exitCode: 128,
          reason: 'StartError',
          message: 'container init was OOM-killed (memory limit too low?)',
        }),
      ),
      expect.stringMatching(/^WorkerOutOfMemory: .* used more than its memory limit of 512Mi/),
    ],
    [
      restarted({ exitCode: 137, reason: 'OOMKilled' }, { restartCount: 1 }),
      'WorkerOutOfMemory: pod w-1, container processor was killed because its node had no memory left (OOMKilled, 1 restart); the container has no memory limit. Set spec.workers.resources.limits.memory and requests.memory',
    ],
    [
      limited(restarted({ exitCode: 137, reason: 'OOMKilled' }, { name: 'proxy' })),
      'WorkerOutOfMemory: pod w-1, container proxy was killed because it used more than its memory limit of 64Mi (OOMKilled, 2 restarts). Raise the memory limit of container proxy',
    ],
    [
      limited(restarted({ exitCode: 137, reason: 'OOMKilled' }, { name: 'ingest' })),
      'WorkerOutOfMemory: pod w-1, container ingest was killed because it used more than its memory limit of 256Mi (OOMKilled, 2 restarts). Raise spec.ingest.resources.limits.memory and requests.memory',
    ],
    [
      limited(
        restarted({
          exitCode: 134,
          message: 'FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory\n at 0x1 node\n',
        }),
      ),
      'WorkerOutOfMemory: pod w-1, container processor ran out of memory (2 restarts): its JavaScript heap reached the limit that follows from the memory limit 512Mi. Raise spec.workers.resources.limits.memory and requests.memory',
    ],
    [
      restarted({ exitCode: 137, reason: 'Error', message: WARNING }),
      'WorkerCrashLooping: pod w-1, container processor crashed 2 times, last exit code 137: killed with SIGKILL, by the kubelet after a failed liveness probe or because the node lacked memory. The Events of the pod show which; if it was memory, raise spec.workers.resources.limits.memory and requests.memory',
    ],
    [
      waiting('CrashLoopBackOff', 'back-off', {
        restartCount: 2,
        state: { terminated: { exitCode: 137, reason: 'OOMKilled' } },
        lastState: {
          terminated: { exitCode: 1, message: '{"level":"error","msg":"worker exiting","code":"TopicCompacted"}' },
        },
      }),
      expect.stringMatching(/^WorkerOutOfMemory: /),
    ],
    [
      pod({ conditions: [{ type: 'PodScheduled', status: 'False', message: '0/3 nodes: Insufficient memory' }] }),
      'PodUnschedulable: pod w-1 cannot be scheduled: 0/3 nodes: Insufficient memory',
    ],
  ])('finds the trouble of pods in their status: %j', (status, expected) => {
    const trouble = troubleOf([status as never])!
    expect(`${trouble.reason}: ${trouble.message}`).toEqual(expected)
  })

  it('finds no trouble of pods while they start or terminate', () => {
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

  it('reports idle workers with their number and what to do', () =>
    expect(noticeOf(12, 8)).toBe(
      'True WorkersIdle: WorkersIdle: 12 workers for 8 partitions of topic sales: 4 workers are idle; set spec.workers.replicas to 8 or less, or add partitions',
    ))
  it('reports idle workers of the autoscaler’s minimum if it sets the number', () =>
    expect(noticeOf(9, 8, { mode: 'active', min: 9, max: 12 })).toContain(
      '1 worker is idle; set spec.workers.autoscale.min to 8 or less',
    ))
  it('reports no idle workers when each worker can have a partition', () => expect(noticeOf(8, 8)).toBeUndefined())
  it('reports no idle workers while the number of partitions is unknown', () => expect(noticeOf(12, 0)).toBeUndefined())
})
