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

function createMember(groupId: string, topicName = topic) {
  const assignments: number[][] = []
  const formerIds: string[] = []
  const membership = new KafkaMembership({
    connection: { clientId: 'test', bootstrapBrokers: [bootstrap], requestTimeout: 10_000 },
    groupId,
    topic: topicName,
    sessionTimeoutMs: 2000,
    onTrouble: () => {},
    onRenamed: formerId => void formerIds.push(formerId),
    growthCheckMs: 200,
  })
  joined.push(membership)
  return { membership, assignments, formerIds, join: () => membership.join(partitions => assignments.push(partitions)) }
}

/** Waits until all partitions are shared out over these members without overlap. */
async function shared(members: { assignments: number[][] }[], partitions = 6): Promise<number[][]> {
  const all = Array.from({ length: partitions }, (_, partition) => partition).join()
  for (;;) {
    const shares = members.map(({ assignments }) => assignments.at(-1) ?? [])
    if (shares.every(share => share.length > 0) && shares.flat().sort().join() === all) return shares
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}

describe('membership', () => {
  it('distributes the partitions again when a member joins, and at once when a member leaves', async () => {
    const groupId = `group-${process.pid}-${groups++}`
    const first = createMember(groupId)
    await first.join()
    await shared([first])
    const second = createMember(groupId)
    await second.join()
    await shared([first, second])
    await second.membership.leave()
    expect(await shared([first])).toEqual([[0, 1, 2, 3, 4, 5]])
    expect(first.assignments.length).toBeGreaterThanOrEqual(3)
  })

  it('confirms the assignment with the group coordinator', async () => {
    const only = createMember(`group-${process.pid}-${groups++}`)
    await only.join()
    await shared([only])
    expect(await only.membership.confirm()).toEqual([0, 1, 2, 3, 4, 5])
  })

  it('distributes partitions that are added to the topic', async () => {
    const growing = `growing-${process.pid}`
    await createTopic(bootstrap, growing, 2)
    const groupId = `group-${process.pid}-${groups++}`
    const members = [createMember(groupId, growing), createMember(groupId, growing)]
    for (const { join } of members) await join()
    await shared(members, 2)
    const admin = new Kafka({ brokers: [bootstrap], logLevel: logLevel.NOTHING }).admin()
    await admin.createPartitions({ topicPartitions: [{ topic: growing, count: 5 }] })
    await admin.disconnect()
    await shared(members, 5)
  })

  it('gives the partitions of an expelled member to the others, and records only the ids of members', async () => {
    const groupId = `group-${process.pid}-${groups++}`
    const [first, second] = [createMember(groupId), createMember(groupId)]
    await first.join()
    await second.join()
    await shared([first, second])
    const { member: id, topicPartitions } = second.membership.describe()
    expect({ id, topicPartitions }).toEqual({ id: expect.stringMatching(/^test-/), topicPartitions: 6 })
    const recorded: string[] = []
    const expel = (member: string) => first.membership.expel(member, async () => void recorded.push(member))
    expect(await expel('unknown')).toBe(false)
    expect(await expel(id!)).toBe(true)
    while (second.formerIds.length === 0) await new Promise(resolve => setTimeout(resolve, 20))
    expect(second.formerIds).toEqual([id])
    expect(second.membership.describe().member).not.toBe(id)
    await second.membership.leave()
    expect(await shared([first])).toEqual([[0, 1, 2, 3, 4, 5]])
    // It has already left, so there is nothing to do, and no other member is affected.
    expect(await expel(id!)).toBe(false)
    expect(recorded).toEqual([id])
    expect(first.formerIds).toEqual([])
  })

  it('publishes group offsets for lag tools', async () => {
    const only = createMember(`group-${process.pid}-${groups++}`)
    await only.join()
    await shared([only])
    await expect(only.membership.publishOffsets(new Map([[0, 0]]))).resolves.toBeUndefined()
  })
})
