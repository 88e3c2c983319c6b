/** Three brokers: leaders die and come back under load; whatever moves, the rows stay exact. */
import type { ITopicMetadata } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { pause } from '#local/services/process.ts'
import { type KafkaCluster, ownKafkaCluster } from '#test/support/kafka-cluster.ts'
import { Random } from '#test/support/random.ts'
import { until } from '#test/support/until.ts'
import { expectExact } from './exact.ts'
import { Rig } from './rig.ts'

/** INTEGRITY_SEED=… replays the moments of the faults; the machine's own timing cannot be replayed. */
const seed = Number(process.env.INTEGRITY_SEED ?? Date.now() % 1_000_000)
const random = new Random(seed)

let rig: Rig<KafkaCluster>

beforeAll(async () => {
  rig = await Rig.on(ownKafkaCluster('leaders'), 'leaders')
  console.log(`integrity seed ${seed}: replay with INTEGRITY_SEED=${seed}`)
})
afterAll(() => rig.stop())

type Partitions = ITopicMetadata['partitions']

const leadersOf = (partitions: Partitions) =>
  new Map(partitions.map(({ partitionId, leader }) => [partitionId, leader] as const))

/** Waits until no partition, or one at least, is led by `broker`. */
function untilLeading(broker: number, leads: boolean): Promise<Map<number, number>> {
  const asWanted = async () => {
    const leaders = leadersOf(await rig.topicPartitions())
    return [...leaders.values()].includes(broker) === leads && ![...leaders.values()].includes(-1) && leaders
  }
  return until(`broker ${broker} leads ${leads ? 'some partition' : 'none'}`, asWanted, 60_000, 200)
}

async function committed(): Promise<number> {
  const [row] = await rig.query<{ sum: string }>(
    `SELECT coalesce(sum(next_offset), 0) AS sum FROM ${rig.schema}.progress`,
  )
  return Number(row!.sum)
}

describe('with three brokers', () => {
  it('nothing is lost or doubled when leaders die and leadership comes back', async () => {
    const workers = [await rig.startWorker(), await rig.startWorker()]
    const before = leadersOf(await rig.topicPartitions())
    expect(new Set(before.values()).size, 'brokers that lead').toBe(3)
    for (const broker of [1, 2]) {
      const loading = rig.load(1000, 8, random.int(1, 1e6))
      await pause(random.int(1500, 3000))
      const then = await committed()
      await rig.servers.kafka.kill(broker)
      expect(await untilLeading(broker, false), 'leaders moved away').not.toEqual(before)
      await loading
      await rig.drained()
      expect(await committed(), 'it goes on without that broker').toBeGreaterThan(then + 1000)
      await rig.servers.kafka.start(broker)
      await untilLeading(broker, true)
    }
    expectExact(await rig.verdict())
    const epochs = await rig.query<{ leader_epoch: number }>(`SELECT leader_epoch FROM ${rig.schema}.progress`)
    expect(Math.max(...epochs.map(row => row.leader_epoch)), 'leader epochs that were counted from').toBeGreaterThan(0)
    for (const { process, exited } of workers) {
      process.kill('SIGTERM')
      expect(await exited).toBe(0)
    }
  }, 240_000)
})
