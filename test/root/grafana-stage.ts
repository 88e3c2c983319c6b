/** A run that fills the dashboards: every process that serves metrics, a Prometheus that scrapes them, and sales. */
import { execFile } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { parseDocument } from 'yaml'
import { WORKER_FLAGS } from '#processor/flags.ts'
import { installOperator, operatorToken, pipelineNamed, startOperator } from '../api-server/rig.ts'
import { RULES_FILE } from '../grafana/rules.ts'
import { Rig, type Worker } from '../integrity/rig.ts'
import { Kube } from '../support/kube.ts'
import { startPrometheus } from '../support/prometheus.ts'
import { createTopic, ownApiServer, temporaryFolder } from '../support/services.ts'
import { until } from '../support/until.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const NAME = 'board'
export const SCHEMA_OF_SALES = 'sales_map'
const SALES_DATABASE = 'sales_db'
/** Sales of the map example: five weeks of event time, across the end of a month. */
const SALES = 100_000
const [RATE, SECONDS] = [400, 45]

export type Stage = Awaited<ReturnType<typeof startStage>>

export async function startStage() {
  const folder = temporaryFolder('grafana')
  const [rig, cluster] = await Promise.all([Rig.start(NAME, { elasticsearch: true }), startCluster()])
  const workers = [await rig.startWorker(), await rig.startWorker()]
  const ingest = await rig.startIngest()
  const map = salesMap(rig)
  await Promise.all([
    createTopic(rig.servers.kafka.bootstrap, 'sales', 4),
    rig.servers.postgres.createDatabase(SALES_DATABASE),
  ])
  const mapWorker = await rig.startWorker(map)

  const startedAt = Date.now()
  const prometheus = await startPrometheus(
    { dataDir: join(folder, 'prometheus'), temporary: true },
    configuration([
      ...[...workers, mapWorker].map(worker => target(worker, 'processor')),
      target(ingest, 'ingest'),
      target({ id: 'operator', url: cluster.operator.url }, 'operator'),
    ]),
  )
  const stop = async () => {
    await prometheus.stop()
    await rig.stop()
    await cluster.stop()
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    await Promise.all([rig.load(RATE, SECONDS, 7), sell(ingest, cluster.touch), makeSales(folder, map)])
    if (cluster.operator.hasEnded()) throw new Error(`the operator ended: ${cluster.operator.lines.join('\n')}`)
    await rig.drained()
    await until('all sales of the map are stored', () => allSalesStored(rig), 120_000, 500)
    // By then, Prometheus has also scraped the counters of the last commits.
    await new Promise(resolve => setTimeout(resolve, 3000))
  } catch (error) {
    await stop()
    throw error
  }
  const salesDatabase = { ...rig.database, database: SALES_DATABASE }
  return { rig, prometheus, startedAt, endedAt: Date.now(), sales: SALES, salesDatabase, stop }
}

/** Starts an operator with a pipeline of the same name, which was scaled once and is observed by the autoscaler. */
async function startCluster() {
  const server = await ownApiServer('grafana')
  const kube = new Kube(server)
  await installOperator(kube)
  const workers = { replicas: 2, autoscale: { mode: 'observe', min: 1, max: 4 } }
  await kube.demand('POST', kube.pipelinePath('default'), pipelineNamed(NAME, { workers }))
  const lastScale = {
    from: 1,
    to: 2,
    at: '2026-01-02T03:04:05Z',
    reason: 'lag of 9000 records',
    inputs: { lag: '9000' },
  }
  await kube.demand(
    'PATCH',
    `${kube.pipelinePath('default', NAME)}/status`,
    { status: { lastScale } },
    'application/merge-patch+json',
  )
  const operator = await startOperator({ address: server, token: await operatorToken(kube) })
  return {
    operator,
    /** Changes an annotation, so that the operator reconciles the pipeline. */
    touch: (mark: string) =>
      kube.demand(
        'PATCH',
        kube.pipelinePath('default', NAME),
        { metadata: { annotations: { mark } } },
        'application/merge-patch+json',
      ),
    async stop() {
      await operator.stop()
      await server.stop()
    },
  }
}

/** Returns a scrape target as of a PodMonitor: with the labels namespace, pod and container besides our own. */
function target({ id, url }: Pick<Worker, 'id' | 'url'>, container: string) {
  return {
    targets: [new URL(url).host],
    labels: { namespace: 'default', pod: id, container, job: `default/${NAME}-${container}` },
  }
}

const configuration = (targets: object[]) => ({
  global: { scrape_interval: '1s', evaluation_interval: '5s' },
  rule_files: [RULES_FILE],
  scrape_configs: [{ job_name: 'pods', static_configs: targets }],
})

/** Returns the example with the addresses of these servers. */
function salesMap(rig: Rig): string {
  const document = parseDocument(readFileSync(join(ROOT, 'k8s/examples/sales-map.yaml'), 'utf8'))
  const { host, port } = rig.servers.postgres
  document.setIn(['spec', 'source', 'bootstrapServers'], rig.servers.kafka.bootstrap.split(','))
  document.setIn(['spec', 'sinks', 'postgres'], { host, port, database: SALES_DATABASE })
  return String(document)
}

/** Sends SALES sales with the example's own load generator, as fast as Kafka accepts them. */
async function makeSales(folder: string, specText: string): Promise<void> {
  const file = join(folder, 'sales-map.yaml')
  writeFileSync(file, specText)
  const args = [...WORKER_FLAGS, join(ROOT, 'producer/main.ts'), 'load', '--file', file, '--count', String(SALES)]
  await promisify(execFile)(process.execPath, args, { cwd: ROOT })
}

/** Posts a valid and an invalid sale each second while the load runs; makes the operator reconcile every 5 s. */
async function sell(ingest: Worker, touch: (mark: string) => Promise<unknown>): Promise<void> {
  for (let i = 0; i < SECONDS; i++) {
    if (i % 5 === 0) await touch(String(i))
    const sale = {
      transaction_id: `rest-${i}`,
      timestamp: new Date().toISOString(),
      category: 'books',
      payment_method: 'paypal',
      store_id: 'rest',
      amount: '12.90',
      quantity: 1,
    }
    for (const body of [sale, { ...sale, amount: 'expensive' }])
      await fetch(`${ingest.url}/transactions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      })
    await new Promise(resolve => setTimeout(resolve, 1000))
  }
}

async function allSalesStored(rig: Rig): Promise<boolean> {
  const client = new pg.Client({ ...rig.database, database: SALES_DATABASE })
  await client.connect()
  try {
    const { rows } = await client.query(`SELECT count(*)::int AS n FROM ${SCHEMA_OF_SALES}.sales`)
    return rows[0].n === SALES
  } finally {
    await client.end()
  }
}
