import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { KafkaMembership } from '#processor/adapters/kafka/membership.ts'
import { createTopic, kafka } from '#test/support/services.ts'
import { Kafka, logLevel } from '#verify/kafkajs.ts'

let bootstrap: string
const topic = `membership-${process.pid}`
const joined: KafkaMembership[] = []
let groups = 0

beforeAll(async () => {
  bootstrap = (await kafka()).bootstrap
  await createTopic(bootstrap, topic, 6)
})
afterEach(async () => {
  await Promise.allSettled(joined.splice(0).map(member => member.leave()))
})

function member(groupId: string, of = topic) {
  const news: number[][] = []
  const formerNames: string[] = []
  const membership = new KafkaMembership({
    connection: { clientId: 'test', bootstrapBrokers: [bootstrap], requestTimeout: 10_000 },
    groupId,
    topic: of,
    sessionTimeoutMs: 2000,
    onTrouble: () => {},
    onRenamed: before => void formerNames.push(before),
    lookEveryMs: 200,
  })
  joined.push(membership)
  return { membership, news, formerNames, join: () => membership.join(partitions => news.push(partitions)) }
}

/** Waits until all partitions are shared out over these members without overlap. */
async function shared(members: { news: number[][] }[], partitions = 6): Promise<number[][]> {
  const all = Array.from({ length: partitions }, (_, partition) => partition).join()
  for (;;) {
    const shares = members.map(({ news }) => news.at(-1) ?? [])
    if (shares.every(share => share.length > 0) && shares.flat().sort().join() === all) return shares
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}

describe('membership', () => {
  it('shares the partitions out, again when a member comes, and at once when one leaves', async () => {
    const groupId = `group-${process.pid}-${groups++}`
    const first = member(groupId)
    await first.join()
    await shared([first])
    const second = member(groupId)
    await second.join()
    await shared([first, second])
    await second.membership.leave()
    expect(await shared([first])).toEqual([[0, 1, 2, 3, 4, 5]])
    expect(first.news.length).toBeGreaterThanOrEqual(3)
  })

  it('confirms the assignment with the coordinator', async () => {
    const only = member(`group-${process.pid}-${groups++}`)
    await only.join()
    await shared([only])
    expect(await only.membership.confirm()).toEqual([0, 1, 2, 3, 4, 5])
  })

  it('shares out partitions that are added to the topic', async () => {
    const growing = `growing-${process.pid}`
    await createTopic(bootstrap, growing, 2)
    const groupId = `group-${process.pid}-${groups++}`
    const members = [member(groupId, growing), member(groupId, growing)]
    for (const { join } of members) await join()
    await shared(members, 2)
    const admin = new Kafka({ brokers: [bootstrap], logLevel: logLevel.NOTHING }).admin()
    await admin.createPartitions({ topicPartitions: [{ topic: growing, count: 5 }] })
    await admin.disconnect()
    await shared(members, 5)
  })

  it('gives the partitions of a member that is declared dead to the others, and tells it when it comes back', async () => {
    const groupId = `group-${process.pid}-${groups++}`
    const [first, second] = [member(groupId), member(groupId)]
    await first.join()
    await second.join()
    await shared([first, second])
    const { member: id, topicPartitions } = second.membership.describe()
    expect({ id, topicPartitions }).toEqual({ id: expect.stringMatching(/^test-/), topicPartitions: 6 })
    expect(await first.membership.expel(id!)).toBe(true)
    while (second.formerNames.length === 0) await new Promise(resolve => setTimeout(resolve, 20))
    expect(second.formerNames).toEqual([id])
    expect(second.membership.describe().member).not.toBe(id)
    await second.membership.leave()
    expect(await shared([first])).toEqual([[0, 1, 2, 3, 4, 5]])
    // It has gone already: nothing to do, and nobody else is disturbed.
    expect(await first.membership.expel(id!)).toBe(false)
    expect(first.formerNames).toEqual([])
  })

  it('publishes offsets for lag tools', async () => {
    const only = member(`group-${process.pid}-${groups++}`)
    await only.join()
    await shared([only])
    await expect(only.membership.publishOffsets(new Map([[0, 0]]))).resolves.toBeUndefined()
  })
})
