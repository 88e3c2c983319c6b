/**
 * Evaluates whether NetworkPolicies allow a connection, by the API reference of networking.k8s.io/v1: both ends are
 * checked, and an isolated end accepts only connections that some policy allows. Objects are as `kubectl get -o json`
 * prints them. Destinations are the pods behind Services: policies do not apply to Services.
 */
import { BlockList, isIP, isIPv6 } from 'node:net'

type Labels = Record<string, string>
type Requirement = { key: string; operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist'; values?: string[] }
type Selector = { matchLabels?: Labels; matchExpressions?: Requirement[] }
export type Protocol = 'TCP' | 'UDP' | 'SCTP'
type Peer = {
  podSelector?: Selector
  namespaceSelector?: Selector
  ipBlock?: { cidr: string; except?: string[] }
}
type Port = { port?: number | string; endPort?: number; protocol?: Protocol }
type Rule = { from?: Peer[]; to?: Peer[]; ports?: Port[] }
type Direction = 'Ingress' | 'Egress'
export type NetworkPolicy = {
  metadata: { name: string; namespace: string }
  spec: { podSelector?: Selector; policyTypes?: Direction[]; ingress?: Rule[]; egress?: Rule[] }
}
export type Namespace = { metadata: { name: string; labels?: Labels } }
type Container = {
  restartPolicy?: string
  ports?: { name?: string; containerPort: number; protocol?: Protocol }[]
}
export type Pod = {
  metadata: { name: string; namespace: string; labels?: Labels }
  spec: { hostNetwork?: boolean; containers: Container[]; initContainers?: Container[] }
  status: { phase?: string; podIP?: string; hostIP?: string }
}
export type Cluster = { policies: NetworkPolicy[]; namespaces: Namespace[]; pods: Pod[] }
/** Each end is "namespace/pod" or an address; the address of a pod is that pod. */
export type Connection = { from: string; to: string; port: number; protocol?: Protocol }
/** `because` names the policies that decide, or the reason why none applies. */
export type Verdict = { allowed: boolean; because: string }

/** A pod on its node's network is only an address: its packets cannot be distinguished from the node's. */
type End = { ip: string; pod: Pod | null; name: string }
type Ends = { source: End; target: End; port: number; protocol: Protocol }

export function evaluate(cluster: Cluster, connection: Connection): Verdict {
  const { port, protocol = 'TCP' } = connection
  const ends = { source: endOf(cluster, connection.from), target: endOf(cluster, connection.to), port, protocol }
  if (ends.source.pod !== null && ends.source.pod === ends.target.pod) {
    return { allowed: true, because: 'a pod may always connect to itself' }
  }
  const [egress, ingress] = [decide(cluster, 'Egress', ends), decide(cluster, 'Ingress', ends)]
  if (egress.allowed && ingress.allowed) return { allowed: true, because: `${egress.because}; ${ingress.because}` }
  const refused = [egress, ingress].filter(verdict => !verdict.allowed)
  return { allowed: false, because: refused.map(verdict => verdict.because).join('; ') }
}

function endOf({ pods }: Cluster, end: string): End {
  const found = isIP(end) ? podAt(pods, end) : pods.find(pod => nameOf(pod) === end)
  if (!found && !isIP(end)) throw new Error(`no pod is named ${end}`)
  if (!found) return { ip: end, pod: null, name: end }
  const ip = found.status.podIP
  if (!ip) throw new Error(`pod ${nameOf(found)} has no address`)
  return { ip, pod: found.spec.hostNetwork ? null : found, name: nameOf(found) }
}

/** Returns the pod at an address, but none that has ended: its address may already belong to another pod. */
export function podAt(pods: Pod[], ip: string): Pod | undefined {
  const hasEnded = (pod: Pod) => pod.status.phase === 'Succeeded' || pod.status.phase === 'Failed'
  return pods.find(pod => pod.status.podIP === ip && !pod.spec.hostNetwork && !hasEnded(pod))
}

function decide(cluster: Cluster, direction: Direction, ends: Ends): Verdict {
  const side = direction.toLowerCase() as 'egress' | 'ingress'
  const [self, other] = direction === 'Egress' ? [ends.source, ends.target] : [ends.target, ends.source]
  const { pod } = self
  if (pod === null) return { allowed: true, because: `no policy applies to ${side} of ${self.name}` }
  // The reference guarantees this only for ingress; egress of a pod to its own node is evaluated as usual.
  if (direction === 'Ingress' && other.ip === pod.status.hostIP) {
    return { allowed: true, because: `${self.name} is open to its own node` }
  }
  const isolating = cluster.policies.filter(policy => isolates(policy, direction, pod))
  if (isolating.length === 0) return { allowed: true, because: `nothing isolates ${side} of ${self.name}` }
  const allowing = isolating.filter(policy =>
    policy.spec[side]?.some(rule => hasPeer(cluster, policy, rule, other) && hasPort(rule.ports, ends)),
  )
  const names = (policies: NetworkPolicy[]) => policies.map(nameOf).join(', ')
  if (allowing.length > 0) return { allowed: true, because: `${side} by ${names(allowing)}` }
  return { allowed: false, because: `${side} of ${self.name} is isolated by ${names(isolating)}` }
}

function isolates({ metadata, spec }: NetworkPolicy, direction: Direction, pod: Pod): boolean {
  const defaultTypes: Direction[] = spec.egress?.length ? ['Ingress', 'Egress'] : ['Ingress']
  const types = spec.policyTypes?.length ? spec.policyTypes : defaultTypes
  return (
    types.includes(direction) &&
    metadata.namespace === pod.metadata.namespace &&
    selects(spec.podSelector ?? {}, pod.metadata.labels)
  )
}

function hasPeer(cluster: Cluster, policy: NetworkPolicy, rule: Rule, end: End): boolean {
  const peers = rule.from ?? rule.to ?? []
  return peers.length === 0 || peers.some(peer => isPeer(cluster, policy, peer, end))
}

function isPeer({ namespaces }: Cluster, policy: NetworkPolicy, peer: Peer, { ip, pod }: End): boolean {
  const { podSelector, namespaceSelector, ipBlock } = peer
  if (ipBlock) return isWithin(ipBlock.cidr, ip) && !ipBlock.except?.some(cidr => isWithin(cidr, ip))
  if (!podSelector && !namespaceSelector) throw new Error(`policy ${nameOf(policy)} has an empty peer`)
  if (pod === null || !selects(podSelector ?? {}, pod.metadata.labels)) return false
  if (!namespaceSelector) return pod.metadata.namespace === policy.metadata.namespace
  const namespace = namespaces.find(({ metadata }) => metadata.name === pod.metadata.namespace)
  if (!namespace) throw new Error(`no namespace is named ${pod.metadata.namespace}`)
  return selects(namespaceSelector, namespace.metadata.labels)
}

/** A port name means the port of that name in the destination, in either direction. */
function hasPort(ports: Port[] = [], { target, port, protocol }: Ends): boolean {
  if (ports.length === 0) return true
  return ports.some(allowed => {
    if ((allowed.protocol ?? 'TCP') !== protocol) return false
    if (allowed.port === undefined) return true
    if (typeof allowed.port === 'string') return portsCalled(allowed.port, protocol, target).includes(port)
    return port >= allowed.port && port <= (allowed.endPort ?? allowed.port)
  })
}

function portsCalled(name: string, protocol: Protocol, { pod }: End): number[] {
  if (pod === null) return []
  const { containers, initContainers = [] } = pod.spec
  const running = [...containers, ...initContainers.filter(container => container.restartPolicy === 'Always')]
  return running
    .flatMap(container => container.ports ?? [])
    .filter(port => port.name === name && (port.protocol ?? 'TCP') === protocol)
    .map(port => port.containerPort)
}

function selects({ matchLabels = {}, matchExpressions = [] }: Selector, labels: Labels = {}): boolean {
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(requirement => isMet(requirement, labels))
  )
}

function isMet({ key, operator, values = [] }: Requirement, labels: Labels): boolean {
  const value = labels[key]
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value)
    case 'NotIn':
      return value === undefined || !values.includes(value)
    case 'Exists':
      return value !== undefined
    case 'DoesNotExist':
      return value === undefined
  }
}

function isWithin(cidr: string, ip: string): boolean {
  const family = isIPv6(ip) ? 'ipv6' : 'ipv4'
  const [base, prefix] = cidr.split('/') as [string, string]
  if (isIPv6(base) !== isIPv6(ip)) return false
  const block = new BlockList()
  block.addSubnet(base, Number(prefix), family)
  return block.check(ip, family)
}

function nameOf({ metadata }: { metadata: { name: string; namespace: string } }): string {
  return `${metadata.namespace}/${metadata.name}`
}
