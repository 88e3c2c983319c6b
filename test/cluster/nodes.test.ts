/** Tests the loss of a node, which dies or is cut off while its containers continue as zombies. Results stay exact. */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { kubectl } from '#chaos/kubectl.ts'
import type { Json } from '../support/kube.ts'
import { until } from '../support/until.ts'
import { Database, table, Watch } from './database.ts'
import { describeWithNodeTool, killNode, orphanNode, signalPod } from './nodes.ts'
import { MINUTES, Shop } from './shop.ts'

/** Longer than the group's session timeout: other workers take over the partitions of a stopped one. */
const STOPPED_MS = 9000
const shop = new Shop('nodes')
let database: Database

const podsOn = async (node: string) =>
  (await shop.pods('shop')).filter(({ spec, metadata }) => spec.nodeName === node && !metadata.deletionTimestamp)

/** Lets a node take workers, and waits until it has some. */
async function occupy(node: string): Promise<void> {
  await shop.k('scale', 'salespipeline/shop', '--replicas=1')
  await shop.workers('shop', 1)
  await kubectl(['uncordon', node])
  await shop.k('scale', 'salespipeline/shop', '--replicas=4')
  await shop.workers('shop', 4)
  expect((await podsOn(node)).length).toBeGreaterThan(0)
}

const isNotReady = (node: string) =>
  until(
    `${node} is not ready`,
    async () => {
      const { status } = JSON.parse(await kubectl(['get', 'node', node, '-o', 'json']))
      return status.conditions.some((c: Json) => c.type === 'Ready' && c.status !== 'True')
    },
    2 * MINUTES,
  )

/** Waits for four ready workers, whatever pods of the lost node the API server still has. */
const replacementReady = () =>
  until('four ready workers', async () => (await shop.status('shop')).workers.summary === '4/4', 2 * MINUTES)

/** Commits that PostgreSQL rejected because another worker owns the partition. Reads the pod's metrics by the API server. */
async function fencedCommits(pod: string): Promise<number> {
  const path = `/api/v1/namespaces/${shop.namespace}/pods/${pod}:8080/proxy/metrics`
  const text = await kubectl(['get', '--raw', path])
  return Number(/^salespipeline_commit_failures_total\{[^}]*kind="fenced"[^}]*\} (\d+)/m.exec(text)![1])
}

describeWithNodeTool('the loss of a node', () => {
  let watch: Watch

  beforeAll(async () => {
    database = await Database.open(shop)
    await shop.apply('shop', { rate: 500 })
    await shop.delivers('shop')
    watch = new Watch(database, shop.schema('shop'))
  }, 10 * MINUTES)

  afterAll(async () => {
    await watch?.stop()
    await database?.close()
    await shop.close()
  }, 3 * MINUTES)

  it(
    'moves the partitions and then the workers to other nodes when the node dies',
    async () => {
      await occupy('node-2')
      await watch.during('a node dies with half of the workers', async () => {
        killNode('node-2')
        await isNotReady('node-2')
        await until(
          'the pods of its workers are deleted',
          async () => (await podsOn('node-2')).length === 0,
          2 * MINUTES,
        )
        await replacementReady()
      })
      await kubectl(['delete', 'node', 'node-2'])
    },
    10 * MINUTES,
  )

  it(
    'fences workers that continue on a node that is cut off, until their pods are deleted and they stop',
    async () => {
      await occupy('node-3')
      orphanNode('node-3')
      const zombies = await podsOn('node-3')
      await isNotReady('node-3')
      await watch.during('the workers of a lost node stop for 9 s, and continue', async () => {
        for (const { metadata } of zombies) signalPod(metadata.uid, 'STOP')
        await sleep(STOPPED_MS)
        for (const { metadata } of zombies) signalPod(metadata.uid, 'CONT')
        await sleep(1000)
      })
      const fenced = await Promise.all(zombies.map(({ metadata }) => fencedCommits(metadata.name)))
      expect(Math.max(...fenced)).toBeGreaterThan(0)
      await watch.during('their pods are deleted while no kubelet stops them', async () => {
        for (const { metadata } of zombies)
          await shop.k('delete', 'pod', metadata.name, '--grace-period=0', '--force', '--ignore-not-found')
        await until('the zombies have exited', () => zombies.every(hasExited))
        await replacementReady()
      })
      await kubectl(['delete', 'node', 'node-3'])
    },
    10 * MINUTES,
  )

  it(
    'loses no sale and counts none twice',
    async () => {
      await watch.stop()
      console.log(`\n${table(watch.standstills)}\n`)
      await shop.drain('shop')
      const result = await shop.verdict('shop')
      console.log(JSON.stringify(result).slice(0, 500))
      expect(result.ok).toBe(true)
      expect(result.rows.compared).toBeGreaterThan(0)
    },
    10 * MINUTES,
  )
})

/** Returns true if no process is left to signal. */
function hasExited({ metadata }: Json): boolean {
  try {
    signalPod(metadata.uid, 'CONT')
    return false
  } catch {
    return true
  }
}
