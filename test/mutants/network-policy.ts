/**
 * Faults planted in the evaluation of NetworkPolicies and in the recording of connections, since an error in either could
 * hide a gap in the policies, and in the policies that the operator creates.
 */
import type { Mutant } from './engine.ts'

const evaluation = { file: 'test/support/network-policy.ts', test: 'test/support/network-policy.test.ts' }
const golden = { file: 'test/operator/golden/minimal/output.yaml', test: 'test/operator/network.test.ts' }

export const NETWORK_POLICY_MUTANTS: Mutant[] = [
  {
    ...evaluation,
    name: 'network policy: podSelector ignored in a peer with two selectors',
    find: 'selects(podSelector ?? {}, pod.metadata.labels)) return false',
    plant: 'selects((namespaceSelector ? {} : podSelector) ?? {}, pod.metadata.labels)) return false',
    turnsRed: 'both selectors in one peer must hold',
  },
  {
    ...evaluation,
    name: 'network policy: podSelector alone that selects pods of every namespace',
    find: 'if (!namespaceSelector) return pod.metadata.namespace === policy.metadata.namespace',
    plant: 'if (!namespaceSelector) return true',
    turnsRed: 'own namespace',
  },
  {
    ...evaluation,
    name: 'network policy: ignored exceptions of an ipBlock',
    find: ' && !ipBlock.except?.some(cidr => isWithin(cidr, ip))',
    plant: '',
    turnsRed: 'except for the exceptions',
  },
  {
    ...evaluation,
    name: 'network policy: egress rules without effect when policyTypes is absent',
    find: "spec.egress?.length ? ['Ingress', 'Egress'] : ['Ingress']",
    plant: "['Ingress']",
    turnsRed: 'mean both where there is an egress rule',
  },
  {
    ...evaluation,
    name: 'network policy: named port that matches any port',
    find: 'return portsCalled(allowed.port, protocol, target).includes(port)',
    plant: 'return portsCalled(allowed.port, protocol, target).length >= 0',
    turnsRed: 'a named port of an (ingress|egress) rule',
  },
  {
    ...evaluation,
    name: 'network policy: connection allowed by one end only',
    find: 'if (egress.allowed && ingress.allowed)',
    plant: 'if (egress.allowed || ingress.allowed)',
    turnsRed: 'both ends must agree',
  },
  {
    ...evaluation,
    name: 'network policy: only the last policy applied',
    find: 'const isolating = cluster.policies.filter(policy => isolates(policy, direction, pod))',
    plant: 'const isolating = cluster.policies.filter(policy => isolates(policy, direction, pod)).slice(-1)',
    turnsRed: 'policies add up',
  },
  {
    ...evaluation,
    name: 'network policy: UDP allowed where only TCP is',
    find: "if ((allowed.protocol ?? 'TCP') !== protocol) return false",
    plant: 'if (allowed.protocol && allowed.protocol !== protocol) return false',
    turnsRed: 'protocol is TCP where absent',
  },
  {
    name: 'flows: server taken for the client when its response was recorded first',
    file: 'test/cluster/flows.ts',
    find: 'if (isReversed) return',
    plant: 'if (isReversed === null) return',
    test: 'test/support/flows.test.ts',
    turnsRed: 'reverses a connection',
  },
  {
    name: 'flows: address resolved to a pod that has ended',
    file: 'test/support/network-policy.ts',
    find: ' && !hasEnded(pod))',
    plant: ' && (!hasEnded(pod) || true))',
    test: 'test/support/flows.test.ts',
    turnsRed: 'names pods',
  },
  {
    name: 'flows: bridge address not resolved to its node',
    file: 'test/cluster/flows.ts',
    find: 'nodeAddresses.includes(from) ?',
    plant: 'nodeAddresses.includes(to) ?',
    test: 'test/support/flows.test.ts',
    turnsRed: 'names pods',
  },
  {
    ...golden,
    name: 'network policy: blocked connection from workers to Kafka',
    find: '        - port: 9092\n          protocol: TCP\n',
    plant: '',
    turnsRed: 'allow every needed connection of minimal',
  },
  {
    ...golden,
    name: 'network policy: metrics open to every pod of the cluster',
    find: '            matchLabels:\n              app.kubernetes.io/name: prometheus',
    plant: '            matchLabels: {}',
    turnsRed: 'block every forbidden connection of minimal',
  },
  {
    ...golden,
    name: 'network policy: unrestricted egress of workers',
    find: '    - Ingress\n    - Egress\n',
    plant: '    - Ingress\n',
    turnsRed: 'block every forbidden connection of minimal',
  },
  {
    name: 'the Kafka UI runs without the restrictions of other pods',
    file: 'charts/sales-pipeline/templates/platform/kafka-ui.yaml',
    find: '{{- include "sales-pipeline.podSecurity" . | nindent 8 }}',
    plant: 'seccompProfile: { type: RuntimeDefault }',
    test: 'test/charts/pod-security.test.ts',
    turnsRed: 'meet restricted in shape everything',
  },
  {
    name: 'Kafka keeps the listener without authentication',
    file: 'charts/sales-pipeline/templates/platform/kafka.yaml',
    find: '{{- if $kafka.scram.plain }}',
    plant: '{{- if true }}',
    test: 'test/charts/scram.test.ts',
    turnsRed: 'once the listener without authentication is off',
  },
  {
    name: 'the user of the pipelines may use every topic',
    file: 'charts/sales-pipeline/templates/platform/kafka-users.yaml',
    find: 'name: {{ . | quote }}, patternType: literal }',
    plant: 'name: "*", patternType: literal }',
    test: 'test/charts/scram.test.ts',
    turnsRed: 'use its topics and groups only',
  },
]
