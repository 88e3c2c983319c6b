/** A node is lost: dead at once, or cut off while its containers go on as zombies. Results stay exact. */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { kubectl } from '#chaos/kubectl.ts'
import type { Json } from '../support/kube.ts'
import { until } from '../support/until.ts'
import { Database, table, Watch } from './database.ts'
import { describeWithNodeTool, killNode, orphanNode, signalPod } from './nodes.ts'
import { MINUTES, Shop } from './shop.ts'

/** Longer than the group's session time-out: others take over what a stopped worker had. */
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

/** Four workers are there again, whatever the API server still has of the lost node. */
const replaced = () =>
  until('four ready workers', async () => (await shop.status('shop')).workers.summary === '4/4', 2 * MINUTES)

/** Commits that PostgreSQL refused, since another worker owns the partition now; the kubelet is not asked. */
async function fencedCommits(pod: string): Promise<number> {
  const path = `/api/v1/namespaces/${shop.namespace}/pods/${pod}:8080/proxy/metrics`
  const text = await kubectl(['get', '--raw', path])
  return Number(/^salespipeline_commit_failures_total\{[^}]*kind="fenced"[^}]*\} (\d+)/m.exec(text)![1])
}

describeWithNodeTool('a node that is lost', () => {
  let watch: Watch

  beforeAll(async () => {
    database = await Database.open(shop)
    await shop.apply('shop', { rate: 500 })
    await shop.ready('shop')
    watch = new Watch(database, `${shop.namespace.replaceAll('-', '_')}_shop`)
  }, 10 * MINUTES)

  afterAll(async () => {
    await watch?.stop()
    await database?.close()
    await shop.close()
  }, 3 * MINUTES)

  it(
    'dies, and its workers’ partitions and then its workers move to another',
    async () => {
      await occupy('node-2')
      await watch.during('a node dies with half of the workers', async () => {
        killNode('node-2')
        await isNotReady('node-2')
        await until('its workers are given up', async () => (await podsOn('node-2')).length === 0, 2 * MINUTES)
        await replaced()
      })
      await kubectl(['delete', 'node', 'node-2'])
    },
    10 * MINUTES,
  )

  it(
    'is cut off while its containers go on: they are fenced, and stop once their pods are given up',
    async () => {
      await occupy('node-3')
      orphanNode('node-3')
      const zombies = await podsOn('node-3')
      await isNotReady('node-3')
      await watch.during('the workers of a lost node stop for 9 s, and go on', async () => {
        for (const { metadata } of zombies) signalPod(metadata.uid, 'STOP')
        await sleep(STOPPED_MS)
        for (const { metadata } of zombies) signalPod(metadata.uid, 'CONT')
        await sleep(1000)
      })
      const fenced = await Promise.all(zombies.map(({ metadata }) => fencedCommits(metadata.name)))
      expect(Math.max(...fenced)).toBeGreaterThan(0)
      await watch.during('they are deleted while they run where no kubelet ends them', async () => {
        for (const { metadata } of zombies)
          await shop.k('delete', 'pod', metadata.name, '--grace-period=0', '--force', '--ignore-not-found')
        await until('the zombies have stopped by themselves', () => zombies.every(isGone))
        await replaced()
      })
      await kubectl(['delete', 'node', 'node-3'])
    },
    10 * MINUTES,
  )

  it(
    'loses and doubles nothing',
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

/** Whether there is no process to signal any more. */
function isGone({ metadata }: Json): boolean {
  try {
    signalPod(metadata.uid, 'CONT')
    return false
  } catch {
    return true
  }
}
