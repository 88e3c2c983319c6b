/** Workers scaled by our autoscaler, and by a HorizontalPodAutoscaler, on sales that come faster and slower. */
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
const schema = shop.namespace.replaceAll('-', '_')
let database: Database
let watch: Watch | null = null

/** So little that what waits keeps a worker busy for a while. */
const SMALL = { requests: { cpu: '50m' }, limits: { cpu: '100m', memory: '512Mi' } }
/** So soon that however fast this machine is, all four are needed. */
const QUICK = { mode: 'active', min: 1, max: 4, catchUpWithin: '2s', stabilization: '30s', cooldown: '10s' }
/** So short that a worker that takes a partition over has little to read again. */
const BRIEF = { deduplication: { horizon: '10s' } }
const [FAST, SLOW] = [5000, 200]
/** Records that wait before anybody scales. */
const BACKLOG = 400_000

const replicasOf = async (name: string): Promise<number> =>
  Number((await shop.json('get', `deployment/${name}-processor`)).spec.replicas)
const events = async (name: string): Promise<string[]> => {
  const { items } = await shop.json('get', 'events', '--field-selector', `involvedObject.name=${name}`)
  return items.map(({ reason, message }: Json) => `${reason}: ${message}`)
}

const wanted = (name: string, workers: number) =>
  until(`${workers} workers of ${name}`, async () => (await replicasOf(name)) === workers, 4 * MINUTES)

/** Another rate, until so many workers are wanted. */
async function sellUntil(name: string, rate: number, workers: number): Promise<void> {
  await shop.patch(name, { load: { rate } })
  await wanted(name, workers)
}

/** Records of all partitions; 0 while nobody has begun. */
async function committed(name: string): Promise<number> {
  const query = `SELECT coalesce(sum(next_offset), 0)::float8 AS sum FROM ${schema}_${name}.progress`
  return database.client.query(query).then(
    ({ rows }) => rows[0].sum,
    () => 0,
  )
}

describe('workers are scaled', () => {
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
    'by a HorizontalPodAutoscaler on what they count, through the scale subresource',
    async () => {
      await shop.apply('hpa', { rate: 100 })
      await serveMetrics('hpa-processor:8080')
      await kubectl(['-n', shop.namespace, 'apply', '-f', '-'], stringify(autoscaler('hpa')))
      await shop.ready('hpa')
      await sellUntil('hpa', 700, 4)
      expect((await shop.json('get', 'salespipeline/hpa')).spec.workers.replicas).toBe(4)
      await shop.workers('hpa', 4)
      await sellUntil('hpa', 300, 2)
      await shop.k('delete', 'horizontalpodautoscaler/hpa')
      await shop.drain('hpa')
      expect((await shop.verdict('hpa')).ok).toBe(true)
      await shop.k('delete', 'salespipelines', '--all', '--timeout=90s')
    },
    20 * MINUTES,
  )

  it(
    'by our autoscaler, which says why, and the results are those of one that is not scaled',
    async () => {
      await shop.apply('alone', { rate: FAST, ...BRIEF })
      await until('sales to catch up with', async () => (await committed('alone')) > BACKLOG, 5 * MINUTES)
      await shop.patch('alone', { load: { rate: SLOW } })
      await shop.apply('auto', { workers: { replicas: 1, resources: SMALL, autoscale: QUICK }, ...BRIEF })
      await until('it has begun', async () => (await committed('auto')) > 0, 3 * MINUTES)
      watch = new Watch(database, `${schema}_auto`)
      await watch.during('1 → 4 workers by the autoscaler', () => wanted('auto', 4))
      // However little one worker is needed for on this machine: two stay.
      await shop.patch('auto', { workers: { autoscale: { min: 2 } } })
      await watch.during('4 → 2 workers by the autoscaler', () => wanted('auto', 2))
      await watch.stop()
      const story = await events('auto')
      console.log(`\n${table(watch.standstills)}\n${story.join('\n')}\n`)
      const isTold = async () => {
        const status = await shop.status('auto')
        return status.lastScale?.to === 2 && status
      }
      const { lastScale, autoscale } = await until('the status tells of it', isTold, MINUTES)
      expect(lastScale).toMatchObject({ from: 4, to: 2, reason: expect.stringContaining('fewer workers are enough') })
      expect(Number(lastScale.inputs.arrivalRate)).toBeGreaterThan(0)
      expect(autoscale.throughputPerWorker).toMatch(/\/s$/)
      expect(story.filter(text => /^Scaled: (1 → 4|4 → 2) workers: \D+\d+ records\/s arrive/.test(text)).length).toBe(2)
      expect((await shop.condition('auto', 'Autoscaling')).reason).toBe('AutoscalerInControl')
      await shop.drain('alone', 'auto')
      expect((await shop.verdict('auto')).ok).toBe(true)
      for (const name of ['sales_summary', 'sales_by_payment', 'late_events', 'dead_letters']) {
        const alone = await database.rows(`${schema}_alone.${name}`)
        expect(alone.length).toBeGreaterThan(0)
        expect(await database.rows(`${schema}_auto.${name}`)).toEqual(alone)
      }
    },
    20 * MINUTES,
  )
})

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
