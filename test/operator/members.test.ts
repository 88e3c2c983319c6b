import { describe, expect, it } from 'vitest'
import type { KubeObject } from '#operator/kube/resources.ts'
import { deadMembers, type Member, membersOf } from '#operator/observe/members.ts'
import type { WorkerReport } from '#operator/observe/report.ts'

const second = (s: number, ms = 0) => Date.UTC(2026, 0, 1, 0, 0, s, ms)
/** Formats a time as the API server does: whole seconds, rounded down. */
const apiTime = (ms: number) => `${new Date(ms).toISOString().slice(0, 19)}Z`

function pod(container: object, uid = 'u-1'): KubeObject {
  const containerStatuses = [{ name: 'processor', image: 'x', ready: true, restartCount: 0, ...container }]
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'w-1', uid }, status: { containerStatuses } }
}
const member: Member = { pod: 'w-1', uid: 'u-1', member: 'w-1-abc', startedAt: second(10, 700) }

describe('dead members', () => {
  it.each<[string, KubeObject[], boolean]>([
    ['its container runs', [pod({ state: { running: { startedAt: apiTime(second(10, 500)) } } })], false],
    ['its pod no longer exists', [], true],
    ['another pod has its name', [pod({ state: { running: { startedAt: apiTime(second(10, 500)) } } }, 'u-2')], true],
    ['its container ended', [pod({ state: { terminated: { finishedAt: apiTime(second(30)) } } })], true],
    [
      'its container waits to be restarted',
      [pod({ state: { waiting: {} }, lastState: { terminated: { finishedAt: apiTime(second(30)) } } })],
      true,
    ],
    [
      'its container was restarted',
      [
        pod({
          state: { running: { startedAt: apiTime(second(31)) } },
          lastState: { terminated: { finishedAt: apiTime(second(30)) } },
        }),
      ],
      true,
    ],
    [
      'its container started after the process, by the API server',
      [pod({ state: { running: { startedAt: apiTime(second(11)) } } })],
      false,
    ],
    [
      'an injected container was restarted',
      [
        pod({
          name: 'proxy',
          state: { running: { startedAt: apiTime(second(31)) } },
          lastState: { terminated: { finishedAt: apiTime(second(30)) } },
        }),
      ],
      false,
    ],
    [
      'the container before it ended, and the API server does not show the new one yet',
      [pod({ state: { terminated: { finishedAt: apiTime(second(10, 100)) } } })],
      false,
    ],
    [
      'the container before it ended, and the API server shows the new one',
      [
        pod({
          state: { running: { startedAt: apiTime(second(10, 500)) } },
          lastState: { terminated: { finishedAt: apiTime(second(9, 900)) } },
        }),
      ],
      false,
    ],
    ['the API server shows no state of its container', [pod({ state: {} })], false],
    [
      'the API server leaves out the times',
      [pod({ state: { running: { startedAt: null }, terminated: { finishedAt: null } } })],
      false,
    ],
  ])('decides whether a member is dead when %s', (_state, pods, isDead) =>
    expect(deadMembers([member], pods)).toEqual(isDead ? [member] : []),
  )

  it('derives the members from the reports of running workers', () => {
    const report = (more: Partial<WorkerReport>) => ({ pod: 'w-1', member: 'm', startedAt: 5, ...more }) as WorkerReport
    expect(membersOf([pod({})], [report({}), report({ pod: 'w-2' }), report({ member: null })])).toEqual([
      { pod: 'w-1', uid: 'u-1', member: 'm', startedAt: 5 },
    ])
  })
})
