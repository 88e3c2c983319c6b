/** Evaluates policies in a cluster with one pod for each role of test/cluster/connections.ts. */
import { ADDRESSES, PODS, type Role, type Ruled } from '#test/cluster/connections.ts'
import { type Cluster, evaluate, type Pod } from './network-policy.ts'

const NODE = '10.0.0.1'
const OTHER_NAMESPACES: Partial<Record<Role, string>> = {
  prometheus: 'monitoring',
  grafana: 'monitoring',
  collector: 'observability',
  dns: 'kube-system',
  eck: 'elastic-system',
  strimzi: 'strimzi-system',
  foreigner: 'elsewhere',
}

/** Returns the pods and their namespaces. `system`: namespace of the operator. `more`: labels added to every pod. */
export function onePodEach(
  namespace: string,
  more: Record<string, string> = {},
  system = 'salespipeline-system',
): Pick<Cluster, 'namespaces' | 'pods'> {
  const namespaceOf = { ...OTHER_NAMESPACES, operator: system } as Partial<Record<string, string>>
  const pods = Object.entries(PODS).map(([role, labels], index): Pod => {
    const metadata = { name: role, namespace: namespaceOf[role] ?? namespace, labels: { ...more, ...labels } }
    return {
      metadata,
      spec: { containers: [] },
      status: { phase: 'Running', podIP: `10.1.0.${index + 1}`, hostIP: NODE },
    }
  })
  const names = [...new Set(pods.map(({ metadata }) => metadata.namespace))]
  const namespaces = names.map(name => ({ metadata: { name, labels: { 'kubernetes.io/metadata.name': name } } }))
  return { namespaces, pods }
}

export const text = ({ from, to, port, protocol }: Omit<Ruled, 'why'>) => `${from} > ${to}:${port}/${protocol}`

/** Returns the connection of a rule as text, and whether the policies let it pass. */
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
