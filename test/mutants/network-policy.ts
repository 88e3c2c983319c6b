/**
 * Faults that are planted in the judge of NetworkPolicies and in what finds the connections to judge, since either could
 * hide a hole, and in the policies that the operator makes.
 */
import type { Mutant } from './engine.ts'

const shared = { file: 'test/support/network-policy.ts', test: 'test/support/network-policy.test.ts' }
const golden = { file: 'test/operator/golden/minimal/output.yaml', test: 'test/operator/network.test.ts' }

export const NETWORK_POLICY_MUTANTS: Mutant[] = [
  {
    ...shared,
    name: 'network policy: of two selectors in one peer the namespaces alone count',
    find: 'selects(podSelector ?? {}, pod.metadata.labels)) return false',
    plant: 'selects((namespaceSelector ? {} : podSelector) ?? {}, pod.metadata.labels)) return false',
    turnsRed: 'both selectors in one peer must hold',
  },
  {
    ...shared,
    name: 'network policy: pods of every namespace are peers of a podSelector alone',
    find: 'if (!namespaceSelector) return pod.metadata.namespace === policy.metadata.namespace',
    plant: 'if (!namespaceSelector) return true',
    turnsRed: 'own namespace',
  },
  {
    ...shared,
    name: 'network policy: exceptions of an ipBlock are forgotten',
    find: ' && !ipBlock.except?.some(cidr => isWithin(cidr, ip))',
    plant: '',
    turnsRed: 'except for the exceptions',
  },
  {
    ...shared,
    name: 'network policy: egress rules do not isolate unless policyTypes say so',
    find: "spec.egress?.length ? ['Ingress', 'Egress'] : ['Ingress']",
    plant: "['Ingress']",
    turnsRed: 'mean both where there is an egress rule',
  },
  {
    ...shared,
    name: 'network policy: a named port is any port',
    find: 'return portsCalled(allowed.port, protocol, target).includes(port)',
    plant: 'return portsCalled(allowed.port, protocol, target).length >= 0',
    turnsRed: 'a named port of an (ingress|egress) rule',
  },
  {
    ...shared,
    name: 'network policy: one willing end is enough',
    find: 'if (egress.allowed && ingress.allowed)',
    plant: 'if (egress.allowed || ingress.allowed)',
    turnsRed: 'both ends must agree',
  },
  {
    ...shared,
    name: 'network policy: the last policy rules alone',
    find: 'const isolating = cluster.policies.filter(policy => isolates(policy, direction, pod))',
    plant: 'const isolating = cluster.policies.filter(policy => isolates(policy, direction, pod)).slice(-1)',
    turnsRed: 'policies add up',
  },
  {
    ...shared,
    name: 'network policy: UDP passes where TCP may',
    find: "if ((allowed.protocol ?? 'TCP') !== protocol) return false",
    plant: 'if (allowed.protocol && allowed.protocol !== protocol) return false',
    turnsRed: 'protocol is TCP where absent',
  },
  {
    name: 'flows: whose answer came first is taken for who asked',
    file: 'test/cluster/flows.ts',
    find: 'if (isTurned) return',
    plant: 'if (isTurned === null) return',
    test: 'test/support/flows.test.ts',
    turnsRed: 'reverses a connection',
  },
  {
    name: 'flows: an address of a pod that ended names it',
    file: 'test/support/network-policy.ts',
    find: ' && !hasEnded(pod))',
    plant: ' && (!hasEnded(pod) || true))',
    test: 'test/support/flows.test.ts',
    turnsRed: 'names pods',
  },
  {
    name: 'flows: a bridge is not its node',
    file: 'test/cluster/flows.ts',
    find: 'nodeAddresses.includes(from) ?',
    plant: 'nodeAddresses.includes(to) ?',
    test: 'test/support/flows.test.ts',
    turnsRed: 'names pods',
  },
  {
    ...golden,
    name: 'network policy: workers may not reach Kafka',
    find: '        - port: 9092\n          protocol: TCP\n',
    plant: '',
    turnsRed: 'allow every needed connection of minimal',
  },
  {
    ...golden,
    name: 'network policy: every pod of the cluster reads figures',
    find: '            matchLabels:\n              app.kubernetes.io/name: prometheus',
    plant: '            matchLabels: {}',
    turnsRed: 'block every forbidden connection of minimal',
  },
  {
    ...golden,
    name: 'network policy: workers go where they like',
    find: '    - Ingress\n    - Egress\n',
    plant: '    - Ingress\n',
    turnsRed: 'block every forbidden connection of minimal',
  },
]
