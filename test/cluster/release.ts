/**
 * Installs the whole system as a user does: one helm install with the values for a laptop. The operators of Strimzi, ECK and
 * Prometheus are not available here: the API server stores their resources by their CRDs, and real servers take the place
 * of those that the operators would create (platform.ts).
 */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { kubectl } from '#chaos/kubectl.ts'
import { CRDS_DIR } from '../support/api-server.ts'
import { CHART, helm } from '../support/helm.ts'
import {
  createVolume,
  OUR_POSTGRES,
  operatorIsUp,
  postgresIsUp,
  SYSTEM,
  startElasticsearch,
  startKafka,
} from './platform.ts'
import type { Shop } from './shop.ts'

const CRDS = ['strimzi', 'eck', 'prometheus-operator'].flatMap(name => ['-f', join(CRDS_DIR, name)])

/** Installs a release named sales. `chart`: its folder. Resolves with its notes. */
export async function installWhole(shop: Shop, more: string[] = [], chart = CHART): Promise<string> {
  // A cluster has only one operator.
  helm(['uninstall', 'operator', ...SYSTEM, '--ignore-not-found', '--wait'])
  await kubectl(['create', ...CRDS])
  await kubectl(['wait', '--for=condition=established', 'crd', '--all', '--timeout=60s'])
  await kubectl(['create', 'namespace', shop.namespace])
  await createVolume(shop.namespace, 'data-postgres-0')
  const notes = install(shop, more, chart)
  await operatorIsUp(shop.namespace)
  await postgresIsUp(shop.namespace)
  await createKafkaPolicy(shop)
  await startKafka(shop.namespace)
  await startElasticsearch(shop.namespace)
  return notes
}

/** If the CRD belongs to another release, runs the commands that the chart's error gives. */
function install({ namespace }: Shop, more: string[], chart: string): string {
  const values = ['-f', join(chart, 'values-laptop.yaml'), ...OUR_POSTGRES, ...more]
  const command = ['install', 'sales', chart, '-n', namespace, ...values]
  try {
    return helm(command)
  } catch (error) {
    const advice = /kubectl label crd .*$/m.exec((error as Error).message)?.[0]
    if (!advice) throw error
    execFileSync('sh', ['-c', advice], { stdio: 'pipe' })
    return helm(command)
  }
}

/** Creates the NetworkPolicy that Strimzi would derive from the peers in the Kafka resource. */
async function createKafkaPolicy(shop: Shop): Promise<void> {
  const { spec } = await shop.json('get', 'kafka/kafka')
  const [{ port, networkPolicyPeers }] = spec.kafka.listeners
  const policy = {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'kafka-network-policy-kafka', namespace: shop.namespace },
    spec: {
      podSelector: { matchLabels: { 'strimzi.io/cluster': 'kafka', 'strimzi.io/broker-role': 'true' } },
      policyTypes: ['Ingress'],
      ingress: [{ from: networkPolicyPeers, ports: [{ port, protocol: 'TCP' }] }],
    },
  }
  await kubectl(['apply', '-f', '-'], stringify(policy))
}

export async function removeWhole(shop: Shop): Promise<void> {
  const ours = await kubectl(['get', 'crd', '--ignore-not-found', '-o', 'name', 'salespipelines.salespipeline.dev'])
  await (ours === '' ? shop.leave() : shop.close())
  helm(['uninstall', 'sales', '-n', shop.namespace, '--ignore-not-found'])
  // Our CRD is kept on uninstall, so delete it too: the next release installs its own.
  await kubectl(['delete', '--ignore-not-found', '--timeout=120s', 'crd', 'salespipelines.salespipeline.dev'])
  await kubectl(['delete', '--ignore-not-found', ...CRDS])
}
