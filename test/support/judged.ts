/** A cluster with one pod for each role of test/cluster/connections.ts, and what policies do there with a rule. */
import { ADDRESSES, PODS, type Role, type Ruled } from '#test/cluster/connections.ts'
import { type Cluster, evaluate, type Pod } from './network-policy.ts'

const NODE = '10.0.0.1'
const ELSEWHERE: Partial<Record<Role, string>> = {
  prometheus: 'monitoring',
  grafana: 'monitoring',
  collector: 'observability',
  dns: 'kube-system',
  eck: 'elastic-system',
  strimzi: 'strimzi-system',
  foreigner: 'elsewhere',
}

/** `system`: namespace of the operator. `more`: labels that all of them have. */
export function onePodEach(
  namespace: string,
  more: Record<string, string> = {},
  system = 'salespipeline-system',
): Pick<Cluster, 'namespaces' | 'pods'> {
  const places = { ...ELSEWHERE, operator: system } as Partial<Record<string, string>>
  const pods = Object.entries(PODS).map(([role, labels], place): Pod => {
    const metadata = { name: role, namespace: places[role] ?? namespace, labels: { ...more, ...labels } }
    return {
      metadata,
      spec: { containers: [] },
      status: { phase: 'Running', podIP: `10.1.0.${place + 1}`, hostIP: NODE },
    }
  })
  const names = [...new Set(pods.map(({ metadata }) => metadata.namespace))]
  const namespaces = names.map(name => ({ metadata: { name, labels: { 'kubernetes.io/metadata.name': name } } }))
  return { namespaces, pods }
}

export const text = ({ from, to, port, protocol }: Omit<Ruled, 'why'>) => `${from} > ${to}:${port}/${protocol}`

/** What the policies do with what a rule is about. */
export function judge(cluster: Cluster, { from, to, port, protocol }: Ruled): string {
  const end = (role: Role) => {
    const address = (ADDRESSES as Record<string, string>)[role]
    if (address) return role === 'node' ? NODE : address
    return cluster.pods
      .map(({ metadata }) => `${metadata.namespace}/${metadata.name}`)
      .find(name => name.endsWith(`/${role}`))!
  }
  const { allowed } = evaluate(cluster, { from: end(from), to: end(to), port, protocol })
  return `${text({ from, to, port, protocol })} ${allowed ? 'passes' : 'is refused'}`
}
