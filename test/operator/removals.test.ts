/** Tests the removal of dead members by the operator: which worker it asks, with which token, and when it gives up. */
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Caches } from '#operator/caches.ts'
import { KubeError } from '#operator/kube/client.ts'
import type { KubeObject } from '#operator/kube/resources.ts'
import { Observer } from '#operator/observe/observer.ts'
import { Removals } from '#operator/removals.ts'
import { removalAudience } from '#pipeline/removal-tokens.ts'
import { idleReport } from '../support/idle-report.ts'

const OWNER = { apiVersion: 'a', kind: 'SalesPipeline', namespace: 'shop', name: 'sales', uid: 'u' }
const ACCOUNT = { namespace: 'system', name: 'salespipeline-operator' }
const clock = { now: () => 0, sleep: async () => {} }

afterEach(() => vi.unstubAllGlobals())

const podOf = (name: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'shop', uid: name },
  status: { phase: 'Running', podIP: name, conditions: [{ type: 'Ready', status: 'True' }] },
})

const reportOf = (worker: string) => idleReport(worker, 0, { member: `${worker}-member`, topicPartitions: 8 })

/** Three workers, of which w-0 has been reported and then disappeared. `answer`: of the others to the removal. */
async function afterDeath(answer: (url: URL) => Response, token: string | null = 'a.b.c') {
  const requests: string[] = []
  vi.stubGlobal('fetch', async (url: string, init: RequestInit) => {
    const { host, hostname, pathname } = new URL(url)
    if (init.method !== 'DELETE') return Response.json(reportOf(hostname))
    requests.push(`${host}${pathname} ${(init.headers as Record<string, string>).authorization} ${init.redirect}`)
    return answer(new URL(url))
  })
  const pods = ['w-0', 'w-1', 'w-2'].map(podOf)
  const [expelled, tokens]: [string[], string[]] = [[], []]
  const observer = new Observer({
    caches: { podsOf: () => pods } as unknown as Caches,
    clock,
    removals: {
      async token(_owner, member) {
        tokens.push(member)
        return token
      },
    },
    onExpelled: (_owner, pod) => expelled.push(pod),
  })
  await observer.observe(OWNER, null)
  pods.shift()
  const passes = async (count: number) => {
    for (let i = 0; i < count; i++) await observer.observe(OWNER, null)
  }
  return { pods, requests, expelled, tokens, passes }
}

describe('a dead member', () => {
  it('removes a dead member once, by a token for this removal, on the port for the operator', async () => {
    const { requests, expelled, tokens, passes } = await afterDeath(() => Response.json({ removed: true }))
    await passes(3)
    expect(requests).toEqual(['w-1:8083/members/w-0-member Bearer a.b.c error'])
    expect({ expelled, tokens }).toEqual({ expelled: ['w-0'], tokens: ['w-0-member'] })
  })

  it('asks the next worker to remove a dead member if one refuses the token', async () => {
    const { expelled, passes } = await afterDeath(({ hostname }) =>
      hostname === 'w-1' ? Response.json({}, { status: 401 }) : Response.json({ removed: true }),
    )
    await passes(1)
    expect(expelled).toEqual(['w-0'])
  })

  it('leaves a dead member to the broker when the API server issues no token', async () => {
    const { requests, tokens, passes } = await afterDeath(() => Response.json({ removed: true }), null)
    await passes(3)
    expect({ requests, tokens }).toEqual({ requests: [], tokens: ['w-0-member'] })
  })

  it('leaves a dead member to the broker after a minute in which no worker has accepted the token', async () => {
    const { tokens, passes } = await afterDeath(() => Response.json({}, { status: 401 }))
    await passes(30)
    expect(tokens).toHaveLength(12)
  })

  it('needs no token while no worker could remove it', async () => {
    const { pods, tokens, passes } = await afterDeath(() => Response.json({ removed: true }))
    const [w1, w2] = pods.splice(0)
    await passes(3)
    expect(tokens).toEqual([])
    pods.push(w1!, w2!)
    await passes(1)
    expect(tokens).toContain('w-0-member')
  })
})

describe('Removals', () => {
  function rig(respond: (method: string, path: string, body?: unknown) => unknown) {
    const logged: string[] = []
    const requests: [string, string, unknown][] = []
    const client = {
      json: async (method: string, path: string, { body }: { body?: unknown }) => {
        requests.push([method, path, body])
        return respond(method, path, body)
      },
    } as unknown as ConstructorParameters<typeof Removals>[0]['client']
    const log = (_level: string, message: string) => void logged.push(message)
    return { removals: new Removals({ client, clock, log, account: ACCOUNT }), logged, requests }
  }
  const { signal } = new AbortController()
  const refuse = () => {
    throw new KubeError(403, 'Forbidden', 'forbidden')
  }

  it('asks for a token of its own account whose audience is this member of this pipeline', async () => {
    const { removals, requests } = rig(() => ({ status: { token: 'x.y.z' } }))
    expect(await removals.token(OWNER, 'w-0/a')).toBe('x.y.z')
    const [method, path, body] = requests[0]!
    expect(`${method} ${path}`).toBe('POST /api/v1/namespaces/system/serviceaccounts/salespipeline-operator/token')
    expect(body).toMatchObject({ spec: { audiences: [removalAudience(OWNER, 'w-0/a')], expirationSeconds: 600 } })
    expect(removalAudience(OWNER, 'w-0/a')).toBe('salespipeline.dev/members/shop/sales/w-0%2Fa')
  })

  it('keeps the last keys when they cannot be read, and reports whether they have changed', async () => {
    let keys: object[] | null = [{ kid: 'a' }]
    const { removals, logged } = rig(() => (keys ? { keys } : refuse()))
    const subject = 'system:serviceaccount:system:salespipeline-operator'
    expect(removals.keys).toEqual({ subject, keys: [] })
    expect([await removals.refresh(signal), await removals.refresh(signal)]).toEqual([true, false])
    keys = null
    expect(await removals.refresh(signal)).toBe(false)
    expect(removals.keys).toEqual({ subject, keys: [{ kid: 'a' }] })
    expect(logged).toEqual(['cannot read public keys of API server'])
  })

  it('resolves with null, and logs why, when the API server refuses a token', async () => {
    const { removals, logged } = rig(refuse)
    expect(await removals.token(OWNER, 'w-0')).toBeNull()
    expect(logged).toEqual([expect.stringContaining('cannot get token to remove dead worker')])
  })
})
