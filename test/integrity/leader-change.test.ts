/** Three brokers: leaders die and come back under load, and the rows stay exact. */
import type { ITopicMetadata } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { pause } from '#local/services/process.ts'
import { type KafkaCluster, ownKafkaCluster } from '#test/support/kafka-cluster.ts'
import { Random } from '#test/support/random.ts'
import { until } from '#test/support/until.ts'
import { expectExact } from './exact.ts'
import { Rig } from './rig.ts'

/** INTEGRITY_SEED=… replays the times of the faults; the timing of the machine cannot be replayed. */
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

/** Resolves with the leaders by partition once `broker` leads some partition, or none. */
function untilLeading(broker: number, leads: boolean): Promise<Map<number, number>> {
  const leadersWhenReached = async () => {
    const leaders = leadersOf(await rig.topicPartitions())
    return [...leaders.values()].includes(broker) === leads && ![...leaders.values()].includes(-1) && leaders
  }
  return until(`broker ${broker} leads ${leads ? 'some partition' : 'none'}`, leadersWhenReached, 60_000, 200)
}

async function committed(): Promise<number> {
  const [row] = await rig.query<{ sum: string }>(
    `SELECT coalesce(sum(next_offset), 0) AS sum FROM ${rig.schema}.progress`,
  )
  return Number(row!.sum)
}

describe('integrity with three brokers', () => {
  it('keeps rows exact when leaders die and leadership comes back', async () => {
    const workers = [await rig.startWorker(), await rig.startWorker()]
    const before = leadersOf(await rig.topicPartitions())
    expect(new Set(before.values()).size, 'brokers that lead').toBe(3)
    for (const broker of [1, 2]) {
      const loading = rig.load(1000, 8, random.int(1, 1e6))
      await pause(random.int(1500, 3000))
      const committedBefore = await committed()
      await rig.servers.kafka.kill(broker)
      expect(await untilLeading(broker, false), 'leaders moved away').not.toEqual(before)
      await loading
      await rig.drained()
      expect(await committed(), 'progress without that broker').toBeGreaterThan(committedBefore + 1000)
      await rig.servers.kafka.start(broker)
      await untilLeading(broker, true)
    }
    expectExact(await rig.verdict())
    const epochs = await rig.query<{ leader_epoch: number }>(`SELECT leader_epoch FROM ${rig.schema}.progress`)
    expect(Math.max(...epochs.map(row => row.leader_epoch)), 'leader epoch in progress').toBeGreaterThan(0)
    for (const { process, exited } of workers) {
      process.kill('SIGTERM')
      expect(await exited).toBe(0)
    }
  }, 240_000)
})
