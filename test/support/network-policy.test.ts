/** Each clause of the API reference of NetworkPolicy, by connections that it allows and that it refuses. */
import { expect, it } from 'vitest'
import { parse } from 'yaml'
import { type Cluster, evaluate, type NetworkPolicy, type Pod, type Protocol } from './network-policy.ts'
import { CASES, DB } from './network-policy-cases.ts'

/** shop/web and shop/db are on node 10.0.0.1, the others on 10.0.0.2; shop/agent has only its node's address. */
const CLUSTER: Cluster = {
  policies: [],
  namespaces: [
    { metadata: { name: 'shop', labels: { team: 'blue' } } },
    { metadata: { name: 'bank', labels: { team: 'red', tier: 'gold' } } },
    { metadata: { name: 'bare' } },
  ],
  pods: [
    pod('shop/web', { app: 'web', tier: 'front' }, '10.1.1.1', '10.0.0.1', { http: 8080 }),
    pod('shop/db', { app: 'db' }, '10.1.1.2', '10.0.0.1', { http: 5432, metrics: 9187 }),
    pod('shop/other', {}, '10.1.2.3', '10.0.0.2'),
    pod('bank/web', { app: 'web' }, '10.1.2.4', '10.0.0.2', { http: 80 }),
    pod('bank/audit', { app: 'audit' }, '10.1.2.5', '10.0.0.2'),
    pod('bare/web', { app: 'web' }, '10.1.2.6', '10.0.0.2'),
    { ...pod('shop/agent', { app: 'web' }, '10.0.0.2', '10.0.0.2'), spec: { hostNetwork: true, containers: [] } },
  ],
}

function pod(name: string, labels: Record<string, string>, podIP: string, hostIP: string, ports = {}): Pod {
  const [namespace, short] = name.split('/') as [string, string]
  const named = Object.entries<number>(ports).map(([name, containerPort]) => ({ name, containerPort }))
  return {
    metadata: { name: short, namespace, labels },
    spec: { containers: [{ ports: named }] },
    status: { podIP, hostIP },
  }
}

/** Returns policies of namespace shop, named by their index: p0, p1, … */
function policies(specs: string[]): NetworkPolicy[] {
  return specs.map((spec, index) => ({ metadata: { name: `p${index}`, namespace: 'shop' }, spec: parse(spec) }))
}

function verdict(policies: NetworkPolicy[], connection: string, pods = CLUSTER.pods) {
  const [, from, to, port, protocol] = /^(\S+) > (\S+):(\d+)(?:\/(\w+))?$/.exec(connection)!
  const proto = protocol === undefined ? {} : { protocol: protocol as Protocol }
  return evaluate({ ...CLUSTER, policies, pods }, { from: from!, to: to!, port: Number(port), ...proto })
}

it.each(CASES.map(one => [one.clause, one] as const))(
  'follows the API reference: %s',
  (_, { specs, allowed, refused }) => {
    const given = policies(specs)
    const outcomes = (connections: string[]) => connections.map(one => `${one} ${verdict(given, one).allowed}`)
    expect(outcomes(allowed)).toEqual(allowed.map(one => `${one} true`))
    expect(outcomes(refused)).toEqual(refused.map(one => `${one} false`))
  },
)

it('ignores a pod that has ended, because its address may belong to another pod', () => {
  const ended = { ...CLUSTER.pods[1]!, status: { ...CLUSTER.pods[1]!.status, phase: 'Succeeded' } }
  const successor = pod('bank/successor', { app: 'successor' }, ended.status.podIP!, '10.0.0.2')
  const given = policies([`{ podSelector: ${DB}, policyTypes: [Ingress, Egress] }`])
  expect(verdict(given, '10.1.1.2 > 192.0.2.1:443', [ended, successor]).allowed).toBe(true)
  expect(verdict(given, '10.1.1.2 > 192.0.2.1:443', [CLUSTER.pods[1]!]).allowed).toBe(false)
})

it('finds the named port of a sidecar, but not of an init container', () => {
  const ports = [{ name: 'side', containerPort: 99 }]
  const withInit = (container: object): Pod => {
    const base = pod('shop/db', { app: 'db' }, '10.1.1.2', '10.0.0.1')
    return { ...base, spec: { ...base.spec, initContainers: [{ ports, ...container }] } }
  }
  const given = policies([`{ podSelector: ${DB}, ingress: [{ ports: [{ port: side }] }] }`])
  expect(verdict(given, '192.0.2.1 > shop/db:99', [withInit({ restartPolicy: 'Always' })]).allowed).toBe(true)
  expect(verdict(given, '192.0.2.1 > shop/db:99', [withInit({})]).allowed).toBe(false)
})

it('reports which policies decide', () => {
  const given = policies([
    `{ podSelector: ${DB}, ingress: [{ ports: [{ port: 1 }] }] }`,
    `{ podSelector: {}, ingress: [{ ports: [{ port: 2 }] }], egress: [{ ports: [{ port: 1 }] }] }`,
  ])
  const because = (connection: string) => verdict(given, connection).because
  expect(because('bank/web > shop/db:1')).toBe('nothing isolates egress of bank/web; ingress by shop/p0')
  expect(because('shop/web > shop/db:1')).toBe('egress by shop/p1; ingress by shop/p0')
  expect(because('192.0.2.1 > shop/db:3')).toBe('ingress of shop/db is isolated by shop/p0, shop/p1')
  expect(because('shop/web > shop/db:2')).toBe('egress of shop/web is isolated by shop/p1')
})

it('throws for an unknown pod, a pod without address and an empty peer', () => {
  const empty = policies([`{ podSelector: ${DB}, ingress: [{ from: [{}] }] }`])
  expect(() => verdict([], 'shop/nobody > shop/db:1')).toThrow('no pod is named shop/nobody')
  expect(() => verdict([], 'shop/db > 192.0.2.1:1', [{ ...CLUSTER.pods[1]!, status: {} }])).toThrow('has no address')
  expect(() => verdict(empty, 'shop/web > shop/db:1')).toThrow('policy shop/p0 has an empty peer')
})
