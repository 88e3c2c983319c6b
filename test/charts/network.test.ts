/**
 * The chart's policies, with the one that Strimzi makes of the Kafka resource, asked about all that the platform must
 * reach and about what must not get through.
 */
import { expect, it } from 'vitest'
import { ofPlatform } from '#test/cluster/connections.ts'
import { describeWithHelm, rendered } from '../support/helm.ts'
import { judge, onePodEach, text } from '../support/judged.ts'
import type { NetworkPolicy } from '../support/network-policy.ts'

const { pass, fail } = ofPlatform()

function policies(): NetworkPolicy[] {
  const objects = rendered(['--set', 'kafkaUi.enabled=true'])
  const [listener] = objects.find(({ kind }) => kind === 'Kafka').spec.kafka.listeners
  const brokers = { matchLabels: { 'strimzi.io/cluster': 'kafka', 'strimzi.io/broker-role': 'true' } }
  const own = { podSelector: { matchLabels: { 'strimzi.io/cluster': 'kafka' } } }
  const strimzi = { namespaceSelector: {}, podSelector: { matchLabels: { 'strimzi.io/kind': 'cluster-operator' } } }
  const internal = [9090, 9091, 8443].map(port => ({ port }))
  const ingress = [
    { from: listener.networkPolicyPeers, ports: [{ port: listener.port }] },
    { from: [own, strimzi], ports: internal },
  ]
  const ofStrimzi = {
    metadata: { name: 'kafka-network-policy-kafka', namespace: 'shop' },
    spec: { podSelector: brokers, policyTypes: ['Ingress' as const], ingress },
  }
  return [...objects.filter(({ kind }) => kind === 'NetworkPolicy'), ofStrimzi]
}

describeWithHelm('the policies of the chart', () => {
  const cluster = () => ({ ...onePodEach('shop', {}, 'shop'), policies: policies() })

  it('let everything through that must', () => {
    const judged = cluster()
    expect(pass.map(rule => judge(judged, rule))).toEqual(pass.map(rule => `${text(rule)} passes`))
  })

  it('let nothing through that must not', () => {
    const judged = cluster()
    expect(fail.map(rule => judge(judged, rule))).toEqual(fail.map(rule => `${text(rule)} is refused`))
  })

  it('let in whom the values name', () => {
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
