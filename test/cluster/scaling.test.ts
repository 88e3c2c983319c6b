/** Tests scaling by our autoscaler and by a HorizontalPodAutoscaler, while the rate of sales rises and falls. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { kubectl } from '#chaos/kubectl.ts'
import type { Json } from '../support/kube.ts'
import { until } from '../support/until.ts'
import { Database, table, Watch } from './database.ts'
import { MINUTES, Shop, VERIFIER } from './shop.ts'

const shop = new Shop('scaling')
let database: Database
let watch: Watch | null = null

/** So little CPU that the backlog keeps a worker busy for a while. */
const SMALL = { requests: { cpu: '50m' }, limits: { cpu: '100m', memory: '512Mi' } }
/** So short a time to catch up that all four workers are needed on any machine. */
const QUICK = { mode: 'active', min: 1, max: 4, catchUpWithin: '2s', stabilization: '30s', cooldown: '10s' }
/** So short a horizon that a worker rereads little when it takes over a partition. */
const BRIEF = { deduplication: { horizon: '10s' } }
const [FAST, SLOW] = [5000, 200]
/** Records of the backlog before scaling begins. */
const BACKLOG = 400_000

const replicasOf = async (name: string): Promise<number> =>
  Number((await shop.json('get', `deployment/${name}-processor`)).spec.replicas)
const events = async (name: string): Promise<string[]> => {
  const { items } = await shop.json('get', 'events', '--field-selector', `involvedObject.name=${name}`)
  return items.map(({ reason, message }: Json) => `${reason}: ${message}`)
}

const scaledTo = (name: string, workers: number) =>
  until(`${workers} workers of ${name}`, async () => (await replicasOf(name)) === workers, 4 * MINUTES)

/** Changes the rate of sales, and waits for the number of workers. */
async function sellUntil(name: string, rate: number, workers: number): Promise<void> {
  await shop.patch(name, { load: { rate } })
  await scaledTo(name, workers)
}

/** Committed records of all partitions; 0 before the first commit. */
async function committed(name: string): Promise<number> {
  const query = `SELECT coalesce(sum(next_offset), 0)::float8 AS sum FROM ${shop.schema(name)}.progress`
  return database.client.query(query).then(
    ({ rows }) => rows[0].sum,
    () => 0,
  )
}

describe('the number of workers', () => {
  beforeAll(async () => {
    database = await Database.open(shop)
  }, 10 * MINUTES)

  afterAll(async () => {
    await watch?.stop()
    await database?.close()
    await kubectl(['delete', 'apiservice', 'v1beta1.external.metrics.k8s.io', '--ignore-not-found'])
    await shop.close()
  }, 3 * MINUTES)

  it(
    'lets a HorizontalPodAutoscaler scale workers on their counters, through the scale subresource',
    async () => {
      await shop.apply('hpa', { rate: 100 })
      await serveMetrics('hpa-processor:8080')
      await kubectl(['-n', shop.namespace, 'apply', '-f', '-'], stringify(autoscaler('hpa')))
      await shop.delivers('hpa')
      await sellUntil('hpa', 700, 4)
      expect((await shop.json('get', 'salespipeline/hpa')).spec.workers.replicas).toBe(4)
      await shop.workers('hpa', 4)
      await sellUntil('hpa', 300, 2)
      await shop.k('delete', 'horizontalpodautoscaler/hpa')
      await shop.drain('hpa')
      expect((await shop.verdict('hpa')).ok).toBe(true)
      await shop.k('delete', 'salespipelines', '--all', '--cascade=foreground', '--timeout=90s')
    },
    20 * MINUTES,
  )

  it(
    'lets our autoscaler scale workers and report why, with the same results as without scaling',
    async () => {
      await shop.apply('alone', { rate: FAST, ...BRIEF })
      await until('there is a backlog', async () => (await committed('alone')) > BACKLOG, 5 * MINUTES)
      await shop.patch('alone', { load: { rate: SLOW } })
      await shop.apply('auto', { workers: { replicas: 1, resources: SMALL, autoscale: QUICK }, ...BRIEF })
      await until('it has committed', async () => (await committed('auto')) > 0, 3 * MINUTES)
      watch = new Watch(database, shop.schema('auto'))
      await watch.during('1 → 4 workers by the autoscaler', () => scaledTo('auto', 4))
      // On a fast machine one worker would be enough: keep two.
      await shop.patch('auto', { workers: { autoscale: { min: 2 } } })
      await watch.during('4 → 2 workers by the autoscaler', () => scaledTo('auto', 2))
      await watch.stop()
      const recorded = await events('auto')
      console.log(`\n${table(watch.standstills)}\n${recorded.join('\n')}\n`)
      const scaledStatus = async () => {
        const status = await shop.status('auto')
        return status.lastScale?.to === 2 && status
      }
      const { lastScale, autoscale } = await until('the status shows the change', scaledStatus, MINUTES)
      expect(lastScale).toMatchObject({ to: 2, reason: expect.stringContaining('fewer workers are enough') })
      expect(lastScale.from).toBeGreaterThan(2)
      expect(Number(lastScale.inputs.arrivalRate)).toBeGreaterThan(0)
      expect(autoscale.throughputPerWorker).toMatch(/\/s$/)
      const changes = recorded.flatMap(text => {
        const [, from, to] = /^Scaled: (\d) → (\d) workers: \D+\d+ records\/s arrive/.exec(text) ?? []
        return from === undefined ? [] : [Number(to) - Number(from)]
      })
      // The recommendation follows the measured rates, so it may change in steps.
      expect([changes.filter(by => by > 0), changes.filter(by => by < 0)].map(sum)).toEqual([3, -2])
      expect((await shop.condition('auto', 'Autoscaling')).reason).toBe('AutoscalerInControl')
      await shop.drain('alone', 'auto')
      expect((await shop.verdict('auto')).ok).toBe(true)
      for (const name of ['sales_summary', 'sales_by_payment', 'late_events', 'dead_letters']) {
        const alone = await database.rows(`${shop.schema('alone')}.${name}`)
        expect(alone.length).toBeGreaterThan(0)
        expect(await database.rows(`${shop.schema('auto')}.${name}`)).toEqual(alone)
      }
    },
    20 * MINUTES,
  )
})

const sum = (numbers: number[]) => numbers.reduce((total, number) => total + number, 0)

function autoscaler(name: string): object {
  const metric = { name: 'sales_per_second' }
  return {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: { name },
    spec: {
      scaleTargetRef: { apiVersion: 'salespipeline.dev/v1alpha1', kind: 'SalesPipeline', name },
      minReplicas: 1,
      maxReplicas: 8,
      metrics: [{ type: 'External', external: { metric, target: { type: 'AverageValue', averageValue: '200' } } }],
      behavior: { scaleDown: { stabilizationWindowSeconds: 0 } },
    },
  }
}

async function serveMetrics(workers: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'metrics-'))
  const [key, cert] = [join(folder, 'tls.key'), join(folder, 'tls.crt')]
  try {
    const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=metrics']
    execFileSync('openssl', [...request, '-keyout', key, '-out', cert], { stdio: 'ignore' })
    await shop.k('create', 'secret', 'tls', 'metrics-tls', `--key=${key}`, `--cert=${cert}`)
  } finally {
    rmSync(folder, { recursive: true })
  }
  const program = join(import.meta.dirname, 'metrics-api.mjs')
  await shop.k('create', 'configmap', 'metrics', `--from-file=${program}`)
  const manifest = readFileSync(join(import.meta.dirname, 'metrics.yaml'), 'utf8')
  const text = manifest
    .replaceAll('NAMESPACE', shop.namespace)
    .replace('image: VERIFIER', `image: ${VERIFIER}`)
    .replace('value: WORKERS', `value: "${workers}"`)
  await kubectl(['-n', shop.namespace, 'apply', '-f', '-'], text)
  await shop.k('rollout', 'status', 'deployment/metrics', '--timeout=60s')
}
