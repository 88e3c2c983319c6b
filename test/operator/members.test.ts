import { describe, expect, it } from 'vitest'
import type { KubeObject } from '#operator/kube/resources.ts'
import { deadOf, type Seen, seenIn } from '#operator/observe/members.ts'
import type { WorkerReport } from '#operator/observe/report.ts'

const second = (s: number, ms = 0) => Date.UTC(2026, 0, 1, 0, 0, s, ms)
/** As the API server writes times: whole seconds, rounded down. */
const told = (ms: number) => `${new Date(ms).toISOString().slice(0, 19)}Z`

function pod(container: object, uid = 'u-1'): KubeObject {
  const containerStatuses = [{ name: 'processor', image: 'x', ready: true, restartCount: 0, ...container }]
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'w-1', uid }, status: { containerStatuses } }
}
const seen: Seen = { pod: 'w-1', uid: 'u-1', member: 'w-1-abc', startedAt: second(10, 700) }

describe('members that are dead', () => {
  it.each<[string, KubeObject[], boolean]>([
    ['its container runs', [pod({ state: { running: { startedAt: told(second(10, 500)) } } })], false],
    ['its pod is gone', [], true],
    ['another pod has its name', [pod({ state: { running: { startedAt: told(second(10, 500)) } } }, 'u-2')], true],
    ['its container ended', [pod({ state: { terminated: { finishedAt: told(second(30)) } } })], true],
    [
      'its container waits to be restarted',
      [pod({ state: { waiting: {} }, lastState: { terminated: { finishedAt: told(second(30)) } } })],
      true,
    ],
    [
      'another container runs in its pod',
      [
        pod({
          state: { running: { startedAt: told(second(31)) } },
          lastState: { terminated: { finishedAt: told(second(30)) } },
        }),
      ],
      true,
    ],
    [
      'its container is said to have begun after it did',
      [pod({ state: { running: { startedAt: told(second(11)) } } })],
      false,
    ],
    [
      'a container beside its own ended, and began anew',
      [
        pod({
          name: 'proxy',
          state: { running: { startedAt: told(second(31)) } },
          lastState: { terminated: { finishedAt: told(second(30)) } },
        }),
      ],
      false,
    ],
    [
      'the container before it ended, and it was heard before the API server knew it',
      [pod({ state: { terminated: { finishedAt: told(second(10, 100)) } } })],
      false,
    ],
    [
      'the same with a restart that is already told',
      [
        pod({
          state: { running: { startedAt: told(second(10, 500)) } },
          lastState: { terminated: { finishedAt: told(second(9, 900)) } },
        }),
      ],
      false,
    ],
    ['nothing is told of its container', [pod({ state: {} })], false],
    ['times are left out', [pod({ state: { running: { startedAt: null }, terminated: { finishedAt: null } } })], false],
  ])('%s', (_what, pods, isDead) => expect(deadOf([seen], pods)).toEqual(isDead ? [seen] : []))

  it('are known by what workers said of themselves', () => {
    const report = (more: Partial<WorkerReport>) => ({ pod: 'w-1', member: 'm', startedAt: 5, ...more }) as WorkerReport
    expect(seenIn([pod({})], [report({}), report({ pod: 'w-2' }), report({ member: null })])).toEqual([
      { pod: 'w-1', uid: 'u-1', member: 'm', startedAt: 5 },
    ])
  })
})
