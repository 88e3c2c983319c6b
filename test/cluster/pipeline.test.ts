/**
 * Sales through a pipeline whose every part runs in pods, installed by the project's own manifests with the rights that
 * users give it; a verifier in a pod of its own recomputes every row. Needs a cluster with the images of `npm run images`
 * and of test/cluster/images.ts; takes minutes.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse, stringify } from 'yaml'
import type { Json } from '../support/kube.ts'
import { until } from '../support/until.ts'
import { kubectl } from './kubectl.ts'

const ROOT = join(import.meta.dirname, '../..')
const NAMESPACE = `shop-${Date.now().toString(36)}`
const MINUTES = 60_000
const RATE = 500

const k = (...args: string[]) => kubectl(['-n', NAMESPACE, ...args])
const json = async (...args: string[]): Promise<Json> => JSON.parse(await k(...args, '-o', 'json'))

function pipeline(): Json {
  const document = parse(readFileSync(join(ROOT, 'k8s/examples/ecommerce.yaml'), 'utf8'))
  document.metadata.namespace = NAMESPACE
  const { spec } = document
  spec.source.bootstrapServers = ['kafka:9092']
  const key = (name: string) => ({ name: 'postgres', key: name })
  spec.sinks = {
    postgres: {
      host: 'postgres',
      database: 'postgres',
      usernameSecretRef: key('username'),
      passwordSecretRef: key('password'),
    },
  }
  spec.load = {
    ...spec.load,
    rate: RATE,
    onCluster: true,
    disorder: { fraction: 0.1 },
    lateness: { fraction: 0.01 },
    duplicates: { fraction: 0.01 },
    malformed: { fraction: 0.005 },
  }
  spec.workers = { replicas: 1 }
  return document
}

const SYSTEM = ['-n', 'salespipeline-system']
const leader = () =>
  kubectl([...SYSTEM, 'get', 'lease/salespipeline-operator', '-o', 'jsonpath={.spec.holderIdentity}'])
const statusOf = async () => (await json('get', 'salespipeline/ecommerce')).status
const readyOf = (status: Json) => status?.conditions?.find((c: Json) => c.type === 'Ready')
const workers = (ready: number) =>
  until(`${ready} workers`, async () => (await statusOf()).workers.summary === `${ready}/${ready}`, 2 * MINUTES)

async function stopLoad(): Promise<void> {
  await k('patch', 'salespipeline/ecommerce', '--type=merge', '-p', '{"spec":{"load":{"onCluster":false}}}')
  await until(
    'no load',
    async () => (await json('get', 'pods', '-l', 'app.kubernetes.io/component=load')).items.length === 0,
    2 * MINUTES,
  )
  await until('nothing waits', async () => (await statusOf()).lag === 0, 2 * MINUTES)
}

/** Runs the verifier as a Job on the very file that the workers read; answers its verdict. */
async function verdict(): Promise<Json> {
  const secret = (key: string) => ({ valueFrom: { secretKeyRef: { name: 'postgres', key } } })
  const job = {
    ...{ apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'verify' } },
    spec: {
      backoffLimit: 0,
      template: {
        spec: {
          restartPolicy: 'Never',
          containers: [
            {
              ...{ name: 'verify', image: 'test/verify:1', args: ['/config/processor.yaml', '--json'] },
              env: [
                { name: 'PGUSER', ...secret('username') },
                { name: 'PGPASSWORD', ...secret('password') },
              ],
              volumeMounts: [{ name: 'config', mountPath: '/config' }],
            },
          ],
          volumes: [{ name: 'config', configMap: { name: 'ecommerce-config' } }],
        },
      },
    },
  }
  await kubectl(['-n', NAMESPACE, 'apply', '-f', '-'], stringify(job))
  await until(
    'the verifier is done',
    async () => {
      const { succeeded = 0, failed = 0 } = (await json('get', 'job/verify')).status
      return succeeded + failed > 0
    },
    5 * MINUTES,
  )
  const said = await k('logs', 'job/verify')
  await k('delete', 'job/verify')
  const verdict = /^\{$[\s\S]*/m.exec(said)?.[0]
  if (!verdict) throw new Error(`the verifier says no verdict:\n${said}`)
  return JSON.parse(verdict)
}

describe('a pipeline in pods', () => {
  beforeAll(async () => {
    await kubectl(['apply', '--server-side', '-f', join(ROOT, 'k8s/crd')])
    await kubectl(['apply', '-f', join(ROOT, 'k8s/operator')])
    await kubectl([...SYSTEM, 'rollout', 'status', 'deployment/salespipeline-operator', '--timeout=120s'])
    await kubectl(['create', 'namespace', NAMESPACE])
    await k('apply', '-f', join(import.meta.dirname, 'servers.yaml'))
    for (const name of ['kafka', 'postgres']) await k('rollout', 'status', `statefulset/${name}`, '--timeout=180s')
    await k('wait', '--for=condition=complete', 'job/topic', '--timeout=120s')
  }, 10 * MINUTES)

  afterAll(async () => {
    await kubectl(['delete', 'salespipelines', '--all', '-n', NAMESPACE, '--timeout=60s'])
    await kubectl(['delete', 'namespace', NAMESPACE, '--wait=false'])
  }, 3 * MINUTES)

  it(
    'streams 500 sales a second, is ready once results stand, and is exact whatever is scaled and killed, its operator too',
    async () => {
      await kubectl(['apply', '-f', '-'], stringify(pipeline()))
      const ready = await until(
        'Ready',
        async () => {
          const condition = readyOf(await statusOf())
          return condition?.status === 'True' && condition
        },
        3 * MINUTES,
      )
      expect(ready).toMatchObject({ reason: 'Streaming' })
      await k('scale', 'salespipeline/ecommerce', '--replicas=4')
      await workers(4)
      const killed: string[] = []
      for (let i = 0; i < 6; i++) {
        await sleep(4000)
        const { items } = await json('get', 'pods', '-l', 'app.kubernetes.io/component=processor')
        const victim = items[i % items.length].metadata
        await k('delete', 'pod', victim.name, '--grace-period=0', '--force')
        killed.push(victim.uid)
      }
      expect(new Set(killed).size).toBe(6)
      await workers(4)
      // Nobody leads for a moment: the next replica takes the lease and scales.
      const before = await leader()
      await kubectl([...SYSTEM, 'delete', 'pod', before, '--grace-period=0', '--force'])
      await k('scale', 'salespipeline/ecommerce', '--replicas=2')
      await workers(2)
      expect(await leader()).not.toBe(before)
      await sleep(10_000)
      await stopLoad()
      const result = await verdict()
      console.log(JSON.stringify(result).slice(0, 1500))
      expect(result.ok).toBe(true)
    },
    15 * MINUTES,
  )
})
