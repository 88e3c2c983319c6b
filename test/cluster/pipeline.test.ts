/**
 * Tests a pipeline whose parts all run in pods, installed by the project's own manifests with their permissions, while it is
 * scaled and its processes are killed. A verifier in its own pod recomputes every row, and a second pipeline, which is not
 * scaled or killed, reads the same topic.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { kubectl } from '#chaos/kubectl.ts'
import { until } from '../support/until.ts'
import { Database, table, Watch } from './database.ts'
import { crashWorker, describeWithNodeTool } from './nodes.ts'
import { operatorIsUp, SYSTEM } from './platform.ts'
import { leader, MINUTES, Shop } from './shop.ts'

const RATE = 500
const shop = new Shop('shop')
let database: Database

/** Resolves with the ms until another operator leads. */
async function killLeader(): Promise<number> {
  const before = await until('a leader', leader)
  const at = Date.now()
  await kubectl([...SYSTEM, 'delete', 'pod', before, '--grace-period=0', '--force'])
  const hasNewLeader = async () => ![before, ''].includes(await leader())
  await until('another leads', hasNewLeader, MINUTES)
  return Date.now() - at
}

async function operators(replicas: number): Promise<void> {
  await kubectl([...SYSTEM, 'scale', 'deployment/salespipeline-operator', `--replicas=${replicas}`])
  if (replicas > 0) await operatorIsUp()
  else
    await until('no operator', async () => {
      const { items } = JSON.parse(await kubectl([...SYSTEM, 'get', 'pods', '-o', 'json']))
      return items.length === 0
    })
}

describeWithNodeTool('a pipeline in pods', () => {
  beforeAll(async () => {
    database = await Database.open(shop)
  }, 10 * MINUTES)

  afterAll(async () => {
    await database?.close()
    await shop.close()
  }, 3 * MINUTES)

  it(
    'stays exact while it is scaled and killed, and equals a pipeline that is left alone',
    async () => {
      await shop.apply('scaled', { rate: RATE })
      await shop.apply('left-alone')
      await shop.delivers('scaled')
      await shop.delivers('left-alone')
      const watch = new Watch(database, shop.schema('scaled'))
      await watch.during('nothing happens', () => sleep(5000), 0)

      await watch.during('1 → 4 workers by kubectl scale', async () => {
        await shop.k('scale', 'salespipeline/scaled', '--replicas=4')
        await shop.workers('scaled', 4)
      })

      const killed = new Set<string>()
      const killOne = async (i: number) => {
        const pods = await shop.pods('scaled')
        const { name, uid } = pods[i % pods.length]!.metadata
        await shop.k('delete', 'pod', name, '--grace-period=0', '--force')
        killed.add(uid)
        await sleep(4000)
      }
      await watch.during('a worker pod deleted with grace 0 every 4 s, six times', async () => {
        for (let i = 0; i < 6; i++) await killOne(i)
        await shop.workers('scaled', 4)
      })
      expect(killed.size).toBe(6)

      await watch.during('a worker’s process killed', () => crashWorker(shop, 'scaled', 0))
      await operators(0)
      await watch.during('the same without an operator, which would remove it from the group', () =>
        crashWorker(shop, 'scaled', 1),
      )
      await operators(2)

      await watch.during('the operator’s leader killed, then 4 → 2 workers', async () => {
        console.log(`another operator leads after ${((await killLeader()) / 1000).toFixed(1)} s`)
        await shop.k('scale', 'salespipeline/scaled', '--replicas=2')
        await shop.workers('scaled', 2)
      })

      await watch.stop()
      console.log(`\n${table(watch.standstills)}\n`)
      await shop.drain('scaled', 'left-alone')
      const result = await shop.verdict('scaled')
      console.log(JSON.stringify(result).slice(0, 1000))
      expect(result.ok).toBe(true)
      for (const name of ['sales_summary', 'sales_by_payment', 'late_events', 'dead_letters']) await compare(name)
    },
    20 * MINUTES,
  )
})

async function compare(name: string): Promise<void> {
  const [scaled, alone] = [
    await database.rows(`${shop.schema('scaled')}.${name}`),
    await database.rows(`${shop.schema('left-alone')}.${name}`),
  ]
  expect(alone.length).toBeGreaterThan(0)
  expect(scaled).toEqual(alone)
}
