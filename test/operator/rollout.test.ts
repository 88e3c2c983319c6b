/** A rollout from a new spec to its end, and how clients that wait for it judge each step. */
import { beforeAll, describe, expect, it } from 'vitest'
import type { Status, StatusInput } from '#operator/status/input.ts'
import { overdueIn } from '#operator/status/rollout.ts'
import { deriveStatus } from '#operator/status/status.ts'
import { type ArgoHealth, argoHealth } from '../support/argocd.ts'
import { kstatusOf } from '../support/kstatus.ts'
import type { Json } from '../support/kube.ts'
import { IN_FORCE, input, NO_PROOF, report } from './status-fixture.ts'

const MINUTE = 60_000
const START = Date.UTC(2026, 0, 2)

let argo: (resource: Json) => ArgoHealth
beforeAll(async () => {
  argo = await argoHealth()
})

const conditionOf = ({ conditions }: Pick<Status, 'conditions'>, name: string) => {
  const found = conditions.find(({ type }) => type === name)
  return found && `${found.status} ${found.reason}`
}

/** How clients judge a pipeline with this status. */
function judged(status: Partial<Status>, metadata: object = {}) {
  const resource = { metadata: { generation: status.observedGeneration, ...metadata }, status }
  return { kstatus: kstatusOf(resource), argo: argo(resource).status }
}

function shownBy(status: Status) {
  const [Ready, Progressing, Reconciling, Stalled] = ['Ready', 'Progressing', 'Reconciling', 'Stalled'].map(type =>
    conditionOf(status, type),
  )
  return { Ready, Progressing, Reconciling, Stalled, ...judged(status) }
}

const waiting: Partial<StatusInput> = { reports: [report({ proof: NO_PROOF })] }
const doomed = { reason: 'AggregationChanged' as const, message: 'pod w-2: give the aggregation a new name' }
const inProgress = { kstatus: 'InProgress', argo: 'Progressing' }
const rollingOut = { Progressing: 'True RollingOut', Reconciling: 'True RollingOut', Stalled: undefined, ...inProgress }

describe('a rollout', () => {
  it.each<[string, Partial<StatusInput>, object]>([
    ['waits for workers', { ...waiting, previous: {} }, { Ready: 'Unknown RollingOut', ...rollingOut }],
    [
      'has no pod yet',
      { reports: [], current: new Set(), workers: { replicas: 0, ready: 0, desired: 2, selector: '' } },
      { Ready: 'False WorkersStarting', ...rollingOut },
    ],
    [
      'is in force',
      {},
      {
        ...{
          Ready: 'True Streaming',
          Progressing: 'True GenerationInForce',
          Reconciling: undefined,
          Stalled: undefined,
        },
        ...{ kstatus: 'Current', argo: 'Healthy' },
      },
    ],
    [
      'of the next generation begins',
      { ...waiting, generation: 4, previous: IN_FORCE },
      { Ready: 'Unknown RollingOut', ...rollingOut },
    ],
    [
      'waits for a Secret, which somebody may create at any time',
      { ...waiting, troubles: [{ reason: 'SecretMissing', message: 'pg' }] },
      { Ready: 'False SecretMissing', ...rollingOut },
    ],
    [
      'is doomed',
      { ...waiting, generation: 4, previous: IN_FORCE, troubles: [doomed] },
      {
        ...{ Ready: 'False AggregationChanged', Progressing: 'False RolloutStalled', Reconciling: undefined },
        ...{ Stalled: 'True AggregationChanged', kstatus: 'Failed', argo: 'Degraded' },
      },
    ],
    [
      'has an invalid spec',
      { ...waiting, spec: null, obstacle: { reason: 'SpecInvalid', message: 'x' } },
      {
        ...{ Ready: 'False SpecInvalid', Progressing: 'False RolloutStalled', Reconciling: undefined },
        ...{ Stalled: 'True SpecInvalid', kstatus: 'Failed', argo: 'Degraded' },
      },
    ],
    [
      'is paused',
      { reports: [], current: new Set(), workers: { replicas: 0, ready: 0, desired: 0, selector: '' } },
      {
        ...{ Ready: 'False Paused', Progressing: 'Unknown Paused', Reconciling: undefined, Stalled: undefined },
        ...{ kstatus: 'InProgress', argo: 'Suspended' },
      },
    ],
    [
      'has ended, and PostgreSQL is down',
      { previous: IN_FORCE, reports: [report({ conditions: { StoreUnavailable: 'x' } })] },
      {
        ...{ Ready: 'False StoreUnavailable', Progressing: 'True GenerationInForce', Reconciling: undefined },
        ...{ Stalled: undefined, kstatus: 'InProgress', argo: 'Degraded' },
      },
    ],
    [
      'has ended, and the topic was replaced',
      { previous: IN_FORCE, troubles: [{ reason: 'TopicReplaced', message: 'x' }] },
      {
        ...{ Ready: 'False TopicReplaced', Progressing: 'True GenerationInForce', Reconciling: undefined },
        ...{ Stalled: 'True TopicReplaced', kstatus: 'Failed', argo: 'Degraded' },
      },
    ],
  ])('that %s is shown as it is', (_when, more, expected) => {
    const status = deriveStatus(input(more))
    expect(shownBy(status)).toEqual(expected)
    const generations = status.conditions.map(({ observedGeneration }) => observedGeneration)
    expect(new Set([status.observedGeneration, ...generations])).toEqual(new Set([more.generation ?? 3]))
  })

  it('reports a rollout as stalled after 10 minutes, counted from its own generation, until it is in force', () => {
    let previous: Partial<Status> = {}
    const at = (minutes: number, more: Partial<StatusInput> = waiting) => {
      const status = deriveStatus(input({ previous, now: START + minutes * MINUTE, ...more }))
      previous = status
      return { status, due: overdueIn(status, START + minutes * MINUTE) }
    }
    expect(at(0).due).toBe(10 * MINUTE)
    expect(at(9).due).toBe(MINUTE)
    const next = { ...waiting, generation: 4 }
    expect(at(9.5, next).due).toBe(10 * MINUTE)
    expect(conditionOf(at(19, next).status, 'Stalled')).toBeUndefined()
    const late = {
      ...{
        Ready: 'False ProgressDeadlineExceeded',
        Progressing: 'False ProgressDeadlineExceeded',
        Reconciling: undefined,
      },
      ...{ Stalled: 'True ProgressDeadlineExceeded', kstatus: 'Failed', argo: 'Degraded' },
    }
    expect(shownBy(at(19.5, next).status)).toEqual(late)
    expect(shownBy(at(30, next).status)).toEqual(late)
    expect(at(31, next).due).toBeUndefined()
    expect(shownBy(at(32, { generation: 4 }).status)).toMatchObject({ Ready: 'True Streaming', kstatus: 'Current' })
  })

  it('reports a rollout as in progress before the operator has seen the pipeline or its newest generation, and during a deletion', () => {
    expect(judged({ observedGeneration: -1 }, { generation: 1 })).toEqual(inProgress)
    expect(judged(IN_FORCE, { generation: 4 })).toEqual(inProgress)
    const terminating = { deletionTimestamp: '2026-01-02T00:00:00Z' }
    const deleting = (reason: 'Deleting' | 'DeletionWaits') =>
      deriveStatus(input({ spec: null, obstacle: { reason, message: 'x' } }))
    expect(judged(deleting('Deleting'), terminating)).toEqual({ kstatus: 'Terminating', argo: 'Progressing' })
    expect(judged(deleting('DeletionWaits'), terminating)).toEqual({ kstatus: 'Terminating', argo: 'Degraded' })
    expect(deleting('Deleting').conditions.map(({ type }) => type)).toEqual(['Ready', 'Accepted', 'WorkersReady'])
  })

  it('shows reason and message in Argo CD', () => {
    const resource = { metadata: { generation: 3 }, status: deriveStatus(input({ troubles: [doomed] })) }
    expect(argo(resource).message).toBe('AggregationChanged: pod w-2: give the aggregation a new name')
  })
})
