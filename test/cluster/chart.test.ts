/**
 * As a user has it: the chart by helm install, helm test, the first example as it is with sales at 500/s, and a verifier
 * in a pod that recomputes every row and document. Meanwhile every connection is recorded, and judged by the policies,
 * which this cluster does not enforce; and a sale is followed through a real OpenTelemetry collector.
 */

import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { CRDS_DIR } from '../support/api-server.ts'
import { describeWithHelm, helm } from '../support/helm.ts'
import { evaluate } from '../support/network-policy.ts'
import { type CollectedSpan, spansIn } from '../support/otelcol/collector.ts'
import { PODS } from './connections.ts'
import { crashWorker, describeWithNodeTool, NODE_TOOL } from './nodes.ts'
import { installWhole, removeWhole } from './release.ts'
import { MINUTES, MISHAPS, Shop } from './shop.ts'
import { type Seen, Witness } from './witness.ts'

const shop = new Shop('chart')
const COLLECTOR = ['--set', 'telemetry.otlpEndpoint=http://otel-collector:4318']
const HERE = import.meta.dirname
let witness: Witness

/** Prometheus cannot be had as a pod everywhere: one with its label asks what it would ask. */
async function scrape(): Promise<void> {
  const operators = await shop.operators()
  const targets = [...(await shop.pods('ecommerce')), ...operators]
  const urls = targets.map(
    ({ status, spec }) => `http://${status.podIP}:${spec.containers[0].ports[0].containerPort}/metrics`,
  )
  const script = `for (const url of ${JSON.stringify(urls)}) console.log(url, (await (await fetch(url)).text()).length)`
  const image = operators[0].spec.containers[0].image
  const command = ['--command', '--', '/usr/bin/node', '--input-type=module', '-e', script]
  const labels = '--labels=app.kubernetes.io/name=prometheus'
  await shop.k('run', 'prometheus', `--image=${image}`, '--restart=Never', labels, ...command)
  await shop.k('wait', 'pod/prometheus', '--for=jsonpath={.status.phase}=Succeeded', '--timeout=60s')
  expect((await shop.k('logs', 'prometheus')).trim().split('\n')).toHaveLength(urls.length)
}

async function spans(): Promise<CollectedSpan[]> {
  return spansIn(await shop.k('exec', 'deployment/otel-collector', '--', '/bin/cat', '/spans/spans.jsonl'))
}

describeWithNodeTool('the chart on a cluster', () =>
  describeWithHelm('with helm', () => {
    beforeAll(async () => {
      expect(CRDS_DIR).not.toBe('')
      witness = await Witness.begin(NODE_TOOL)
      await installWhole(shop, COLLECTOR)
      await shop.k('apply', '-f', join(HERE, 'collector.yaml'))
      await shop.k('rollout', 'status', 'deployment/otel-collector', '--timeout=120s')
    }, 15 * MINUTES)

    afterAll(() => removeWhole(shop), 5 * MINUTES)

    it('has made the resources of other operators, which only the API server has seen here', async () => {
      for (const kind of ['kafka/kafka', 'kafkanodepool/kafka-nodes', 'elasticsearch/elasticsearch', 'kibana/kibana'])
        expect((await shop.json('get', kind)).metadata.labels['app.kubernetes.io/managed-by']).toBe('Helm')
      const { spec } = await shop.json('get', 'prometheusrule/salespipeline')
      expect(spec.groups.length).toBeGreaterThan(1)
    })

    it(
      'passes helm test: a sale in through REST, and back from both stores',
      async () => {
        const said = helm(['test', 'sales', '-n', shop.namespace, '--logs', '--timeout', '5m'])
        expect(said).toMatch(/Phase:\s+Succeeded/)
        expect(said).toMatch(/table \S+by_store holds store check-\S+, revenue 12\.34, sales 1/)
        expect(said).toMatch(/index salespipeline-test holds store check-\S+, revenue 12\.34, sales 1/)
        expect((await shop.json('get', 'salespipelines')).items).toEqual([])
      },
      10 * MINUTES,
    )

    it(
      'shows that sale in a collector, from the request to its row and its document',
      async () => {
        const found = await spans()
        const sent = found.find(({ name }) => name === 'send salespipeline-test')!
        const ofSale = found.filter(({ traceId }) => traceId === sent.traceId)
        const named = (name: string) => ofSale.find(span => span.name === name)!
        expect(ofSale.map(({ name }) => name).toSorted()).toEqual(
          ['commit', 'process salespipeline-test', 'project salespipeline-test', 'send salespipeline-test'].toSorted(),
        )
        expect(named('commit').parentSpanId).toBe(named('process salespipeline-test').spanId)
        for (const name of ['process salespipeline-test', 'project salespipeline-test'])
          expect(named(name).links).toEqual([{ traceId: sent.traceId, spanId: sent.spanId }])
        // docs/semantics.md, 9: made → committed, and made → confirmed by the projection.
        const delay = (name: string) => named(name).endedAt - sent.startedAt
        console.log(`sale committed after ${delay('commit')} ms, shown after ${delay('project salespipeline-test')} ms`)
        expect(delay('commit')).toBeGreaterThanOrEqual(0)
        expect(delay('project salespipeline-test')).toBeGreaterThanOrEqual(delay('commit'))
      },
      MINUTES,
    )

    it(
      'runs the first example as it is while a worker is killed, and every row and document is as recomputed',
      async () => {
        await shop.k('apply', '-f', join(HERE, '../../k8s/examples/ecommerce.yaml'))
        await shop.patch('ecommerce', { load: { onCluster: true, rate: 500, ...MISHAPS } })
        await shop.ready('ecommerce')
        await scrape()
        await sleep(20_000)
        await crashWorker(shop, 'ecommerce', 0)
        await sleep(30_000)
        await shop.drain('ecommerce')
        const verdict = await shop.verdict('ecommerce')
        console.log(JSON.stringify(verdict).slice(0, 1500))
        expect(verdict.ok).toBe(true)
        expect(verdict.records).toBeGreaterThan(20_000)
        expect(verdict.rows.compared).toBeGreaterThan(0)
      },
      10 * MINUTES,
    )

    it(
      'made no connection but those that its policies allow',
      async () => {
        await shop.k('delete', 'salespipeline/ecommerce', '--timeout=90s')
        const seen = await witness.end()
        const ours = seen.flows.filter(
          ({ from, to }) => [from, to].some(end => isOurs(seen, end)) && !isStandIn(seen, from),
        )
        expect(missing(seen)).toEqual([])
        const refused = ours
          .map(flow => ({ ...flow, ...evaluate(seen, flow) }))
          .filter(({ allowed }) => !allowed)
          .map(({ from, to, port, protocol, because }) => `${from} → ${to}:${port}/${protocol}: ${because}`)
        expect(refused).toEqual([])
        console.log(`${ours.length} different connections, all allowed by ${seen.policies.length} policies`)
      },
      3 * MINUTES,
    )
  }),
)

const podOf = ({ pods }: Seen, end: string) =>
  pods.find(({ metadata }) => `${metadata.namespace}/${metadata.name}` === end)
const isOurs = (seen: Seen, end: string) => podOf(seen, end)?.metadata.namespace === shop.namespace
/** What an operator of others would do by the brokers' own ports. */
const isStandIn = (seen: Seen, end: string) => podOf(seen, end)?.metadata.labels?.['stands-in-for'] !== undefined

/** So that an empty recording proves nothing: what must have been among it. */
const EXPECTED = [
  ...['worker', 'load', 'ingest', 'helmTest'].map(role => `${role} > dns`),
  ...['worker', 'load', 'ingest'].map(role => `${role} > kafka:9092`),
  ...['worker', 'removal', 'helmTest'].flatMap(role => [`${role} > postgres:5432`, `${role} > elasticsearch:9200`]),
  ...['helmTest > ingest:8000', 'operator > worker:8080', 'prometheus > worker:8080', 'prometheus > operator:8081'],
  ...['worker > collector:4318', 'ingest > collector:4318', 'operator > outside'],
]

/** Those of them that nobody made. */
function missing(seen: Seen): string[] {
  const met = new Set(
    seen.flows.flatMap(({ from, to, port }) =>
      rolesOf(seen, from).flatMap(a => rolesOf(seen, to).flatMap(b => [`${a} > ${b}`, `${a} > ${b}:${port}`])),
    ),
  )
  return EXPECTED.filter(connection => !met.has(connection))
}

function rolesOf(seen: Seen, end: string): string[] {
  const labels = podOf(seen, end)?.metadata.labels
  if (!labels) return ['outside']
  const has = (wanted: Record<string, string>) =>
    Object.entries(wanted).every(([name, value]) => labels[name] === value)
  return Object.entries(PODS).flatMap(([role, wanted]) => (has(wanted) ? [role] : []))
}
