/**
 * Tests the chart as a user runs it: helm install, helm test, the unchanged first example with 500 sales/s, and a verifier
 * in a pod that recomputes every row and document. Meanwhile every connection is recorded and evaluated against the
 * policies, which this cluster does not enforce, and the trace of a sale is read from a real OpenTelemetry collector.
 */

import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { CRDS_DIR } from '../support/api-server.ts'
import { describeWithHelm, helm } from '../support/helm.ts'
import { evaluate } from '../support/network-policy.ts'
import { type CollectedSpan, spansIn } from '../support/otelcol/collector.ts'
import { until } from '../support/until.ts'
import { PODS } from './connections.ts'
import { crashWorker, describeWithNodeTool, NODE_TOOL } from './nodes.ts'
import { installWhole, removeWhole } from './release.ts'
import { MINUTES, MISHAPS, Shop } from './shop.ts'
import { type Seen, Witness } from './witness.ts'

const shop = new Shop('chart')
const COLLECTOR = ['--set', 'telemetry.otlpEndpoint=http://otel-collector:4318']
const HERE = import.meta.dirname
let witness: Witness

/** The image of Prometheus is not available everywhere, so a pod with its label sends the same requests. */
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

    it('creates the resources of other operators, which do not run here', async () => {
      for (const kind of ['kafka/kafka', 'kafkanodepool/kafka-nodes', 'elasticsearch/elasticsearch', 'kibana/kibana'])
        expect((await shop.json('get', kind)).metadata.labels['app.kubernetes.io/managed-by']).toBe('Helm')
      const { spec } = await shop.json('get', 'prometheusrule/salespipeline')
      expect(spec.groups.length).toBeGreaterThan(1)
    })

    it(
      'lets people read SalesPipelines with the role view, and change them with edit',
      async () => {
        const rights = async (user: string) => {
          const rules = await shop.k('auth', 'can-i', '--list', `--as=${user}`)
          return rules.split('\n').filter(line => /^salespipelines\.salespipeline\.dev /.test(line))
        }
        for (const role of ['view', 'edit'])
          await shop.k('create', 'rolebinding', `${role}er`, `--clusterrole=${role}`, `--user=${role}er`)
        // A controller of Kubernetes adds our rules to its roles.
        const viewer = await until('the role view has SalesPipelines', async () => {
          const rules = await rights('viewer')
          return rules.length > 0 && rules
        })
        expect(viewer.join()).toMatch(/\[get list watch\]/)
        expect(viewer.join()).not.toMatch(/create|update|patch|delete/)
        await until('the role edit may change SalesPipelines', async () =>
          /patch/.test((await rights('editer')).join()),
        )
      },
      MINUTES,
    )

    it(
      'passes helm test, which sends a sale through REST and reads it back from both stores',
      async () => {
        const output = helm(['test', 'sales', '-n', shop.namespace, '--logs', '--timeout', '5m'])
        expect(output).toMatch(/Phase:\s+Succeeded/)
        expect(output).toMatch(/table \S+by_store holds store check-\S+, revenue 12\.34, sales 1/)
        expect(output).toMatch(/index salespipeline-test holds store check-\S+, revenue 12\.34, sales 1/)
        expect((await shop.json('get', 'salespipelines')).items).toEqual([])
      },
      10 * MINUTES,
    )

    it(
      'exports the trace of that sale to a collector, from the request to its row and its document',
      async () => {
        const found = await spans()
        const sent = found.find(({ name }) => name === 'send salespipeline-test')!
        const traceOfSale = found.filter(({ traceId }) => traceId === sent.traceId)
        const named = (name: string) => traceOfSale.find(span => span.name === name)!
        expect(traceOfSale.map(({ name }) => name).toSorted()).toEqual(
          ['commit', 'process salespipeline-test', 'project salespipeline-test', 'send salespipeline-test'].toSorted(),
        )
        expect(named('commit').parentSpanId).toBe(named('process salespipeline-test').spanId)
        for (const name of ['process salespipeline-test', 'project salespipeline-test'])
          expect(named(name).links).toEqual([{ traceId: sent.traceId, spanId: sent.spanId }])
        // docs/semantics.md, section 9: creation to commit, and creation to confirmation by the projection.
        const delay = (name: string) => named(name).endedAt - sent.startedAt
        console.log(
          `sale committed after ${delay('commit')} ms, projected after ${delay('project salespipeline-test')} ms`,
        )
        expect(delay('commit')).toBeGreaterThanOrEqual(0)
        expect(delay('project salespipeline-test')).toBeGreaterThanOrEqual(delay('commit'))
      },
      MINUTES,
    )

    it(
      'keeps every row and document of the first example exact while a worker is killed',
      async () => {
        await shop.k('apply', '-f', join(HERE, '../../k8s/examples/ecommerce.yaml'))
        await shop.patch('ecommerce', { load: { onCluster: true, rate: 500, ...MISHAPS } })
        await shop.delivers('ecommerce')
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
      'makes only connections that its policies allow',
      async () => {
        await shop.k('delete', 'salespipeline/ecommerce', '--cascade=foreground', '--timeout=90s')
        const seen = await witness.end()
        const ours = seen.flows.filter(
          ({ from, to }) => [from, to].some(end => isOurs(seen, end)) && !isFakeOperator(seen, from),
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
/** True for pods that do the work of another operator; the real one would use other ports. */
const isFakeOperator = (seen: Seen, end: string) => podOf(seen, end)?.metadata.labels?.['stands-in-for'] !== undefined

/** Connections that must have been recorded, so that an empty recording does not pass. */
const EXPECTED = [
  ...['worker', 'load', 'ingest', 'helmTest'].map(role => `${role} > dns`),
  ...['worker', 'load', 'ingest'].map(role => `${role} > kafka:9092`),
  ...['worker', 'removal', 'helmTest'].flatMap(role => [`${role} > postgres:5432`, `${role} > elasticsearch:9200`]),
  'helmTest > ingest:8000',
  'operator > worker:8080',
  'prometheus > worker:8080',
  'prometheus > operator:8081',
  'worker > collector:4318',
  'ingest > collector:4318',
  'operator > outside',
]

/** Returns the expected connections that were not recorded. */
function missing(seen: Seen): string[] {
  const recorded = new Set(
    seen.flows.flatMap(({ from, to, port }) =>
      rolesOf(seen, from).flatMap(a => rolesOf(seen, to).flatMap(b => [`${a} > ${b}`, `${a} > ${b}:${port}`])),
    ),
  )
  return EXPECTED.filter(connection => !recorded.has(connection))
}

function rolesOf(seen: Seen, end: string): string[] {
  const labels = podOf(seen, end)?.metadata.labels
  if (!labels) return ['outside']
  const has = (selector: Record<string, string>) =>
    Object.entries(selector).every(([name, value]) => labels[name] === value)
  return Object.entries(PODS).flatMap(([role, selector]) => (has(selector) ? [role] : []))
}
