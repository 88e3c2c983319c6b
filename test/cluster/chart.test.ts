/**
 * As a user has it: the chart by helm install with the values for a laptop, the first example as it is, sales at 500/s,
 * helm test meanwhile, and a verifier in a pod that recomputes every row and document. Strimzi's, ECK's and Prometheus'
 * operators cannot be had here: their resources are made and kept by the API server with their CRDs, and real servers
 * stand where the operators would put theirs (platform.ts).
 */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { CRDS_DIR, describeWithCrds } from '../support/api-server.ts'
import { CHART, describeWithHelm, helm } from '../support/helm.ts'
import { kubectl } from './kubectl.ts'
import {
  makeVolume,
  OUR_POSTGRES,
  operatorIsUp,
  postgresIsUp,
  SYSTEM,
  startElasticsearch,
  startKafka,
} from './platform.ts'
import { MINUTES, MISHAPS, Shop } from './shop.ts'

const shop = new Shop('chart')
const FOLDERS = ['strimzi', 'eck', 'prometheus-operator'].map(name => join(CRDS_DIR, name))
const CRDS = FOLDERS.flatMap(folder => ['-f', folder])
const IN_SHOP = ['-n', shop.namespace]

/** helm install; where the CRD is another release's, does what the chart then says. */
function install(): string {
  const command = ['install', 'sales', CHART, ...IN_SHOP, '-f', join(CHART, 'values-laptop.yaml')]
  try {
    return helm([...command, ...OUR_POSTGRES])
  } catch (error) {
    const advice = /kubectl label crd .*$/m.exec((error as Error).message)?.[0]
    if (!advice) throw error
    execFileSync('sh', ['-c', advice], { stdio: 'pipe' })
    return helm([...command, ...OUR_POSTGRES])
  }
}

describeWithCrds('the chart on a cluster', () =>
  describeWithHelm('with helm', () => {
    beforeAll(async () => {
      // One operator to a cluster.
      helm(['uninstall', 'operator', ...SYSTEM, '--ignore-not-found', '--wait'])
      await kubectl(['create', ...CRDS])
      await kubectl(['wait', '--for=condition=established', 'crd', '--all', '--timeout=60s'])
    }, 5 * MINUTES)

    afterAll(async () => {
      await shop.close()
      helm(['uninstall', 'sales', ...IN_SHOP, '--ignore-not-found'])
      await kubectl(['delete', '--ignore-not-found', ...CRDS])
    }, 5 * MINUTES)

    it(
      'stands after helm install, and says what to do next',
      async () => {
        await kubectl(['create', 'namespace', shop.namespace])
        await makeVolume(shop.namespace, 'data-postgres-0')
        const notes = install()
        expect(notes).toContain(`helm test sales -n ${shop.namespace}`)
        await operatorIsUp(shop.namespace)
        await postgresIsUp(shop.namespace)
        await startKafka(shop.namespace)
        await startElasticsearch(shop.namespace)
        for (const resource of [
          'kafka/kafka',
          'kafkanodepool/kafka-nodes',
          'elasticsearch/elasticsearch',
          'kibana/kibana',
        ])
          expect((await shop.json('get', resource)).metadata.labels['app.kubernetes.io/managed-by']).toBe('Helm')
      },
      10 * MINUTES,
    )

    it(
      'passes helm test: a sale in through REST, and back from both stores',
      async () => {
        const said = helm(['test', 'sales', ...IN_SHOP, '--logs', '--timeout', '5m'])
        console.log(said)
        expect(said).toMatch(/Phase:\s+Succeeded/)
        const { items } = await shop.json('get', 'salespipelines')
        expect(items).toEqual([])
      },
      10 * MINUTES,
    )

    it(
      'runs the first example as it is, and every row and document is that of the recomputation',
      async () => {
        await shop.k('apply', '-f', join(import.meta.dirname, '../../k8s/examples/ecommerce.yaml'))
        await shop.patch('ecommerce', { load: { onCluster: true, rate: 500, ...MISHAPS } })
        await shop.ready('ecommerce')
        await new Promise(resolve => setTimeout(resolve, MINUTES))
        await shop.drain('ecommerce')
        const verdict = await shop.verdict('ecommerce')
        console.log(JSON.stringify(verdict).slice(0, 1500))
        expect(verdict.ok).toBe(true)
        expect(verdict.rows.compared).toBeGreaterThan(0)
        expect(verdict.projections).toMatchObject({})
      },
      10 * MINUTES,
    )
  }),
)
