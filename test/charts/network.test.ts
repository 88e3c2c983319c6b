/**
 * Evaluates the chart's NetworkPolicies, and the one that Strimzi derives from the Kafka resource, for each connection that
 * the platform needs and each that must be blocked.
 */
import { expect, it } from 'vitest'
import { ofPlatform, STANDARD } from '#test/cluster/connections.ts'
import { describeWithHelm, rendered } from '../support/helm.ts'
import { judge, onePodEach, text } from '../support/judged.ts'
import type { Json } from '../support/kube.ts'
import type { NetworkPolicy } from '../support/network-policy.ts'

const { pass, fail } = ofPlatform()
const SCRAM = ['--set', 'kafka.scram.enabled=true,kafka.scram.plain=false']

function policies(args: string[] = []): NetworkPolicy[] {
  const objects = rendered(['--set', 'kafkaUi.enabled=true', ...args])
  const { listeners } = objects.find(({ kind }) => kind === 'Kafka').spec.kafka
  const brokers = { matchLabels: { 'strimzi.io/cluster': 'kafka', 'strimzi.io/broker-role': 'true' } }
  const kafkaPods = { podSelector: { matchLabels: { 'strimzi.io/cluster': 'kafka' } } }
  const strimzi = { namespaceSelector: {}, podSelector: { matchLabels: { 'strimzi.io/kind': 'cluster-operator' } } }
  const internal = [9090, 9091, 8443].map(port => ({ port }))
  const ingress = [
    ...listeners.map(({ networkPolicyPeers, port }: Json) => ({ from: networkPolicyPeers, ports: [{ port }] })),
    { from: [kafkaPods, strimzi], ports: internal },
  ]
  const strimziPolicy = {
    metadata: { name: 'kafka-network-policy-kafka', namespace: 'shop' },
    spec: { podSelector: brokers, policyTypes: ['Ingress' as const], ingress },
  }
  return [...objects.filter(({ kind }) => kind === 'NetworkPolicy'), strimziPolicy]
}

describeWithHelm('the network policies of the chart', () => {
  const cluster = () => ({ ...onePodEach('shop', {}, 'shop'), policies: policies() })

  it('allow every needed connection', () => {
    const withPolicies = cluster()
    expect(pass.map(rule => judge(withPolicies, rule))).toEqual(pass.map(rule => `${text(rule)} passes`))
  })

  it('block every forbidden connection', () => {
    const withPolicies = cluster()
    expect(fail.map(rule => judge(withPolicies, rule))).toEqual(fail.map(rule => `${text(rule)} is refused`))
  })

  it('allow and block the same connections on the listener with SCRAM', () => {
    const withPolicies = { ...onePodEach('shop', {}, 'shop'), policies: policies(SCRAM) }
    const scram = ofPlatform({ ...STANDARD, kafka: [9093] })
    expect(scram.pass.map(rule => judge(withPolicies, rule))).toEqual(scram.pass.map(rule => `${text(rule)} passes`))
    const refused = [...scram.fail, ...pass.filter(({ to, port }) => to === 'kafka' && port === 9092)]
    expect(refused.map(rule => judge(withPolicies, rule))).toEqual(refused.map(rule => `${text(rule)} is refused`))
  })

  it('allow the clients that the values name', () => {
    const stranger = ['--set', 'networkPolicies.clients[0].podSelector.matchLabels.app=stranger']
    const named = { ...cluster(), policies: rendered(stranger).filter(({ kind }) => kind === 'NetworkPolicy') }
    for (const [to, port] of [
      ['postgres', 5432],
      ['elasticsearch', 9200],
      ['kibana', 5601],
    ] as const) {
      const rule = { from: 'stranger', to, port, protocol: 'TCP', why: '' } as const
      expect(judge(named, rule)).toContain('passes')
      expect(judge(cluster(), rule)).toContain('is refused')
    }
  })
})
