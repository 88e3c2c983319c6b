/**
 * The consumer group, through @platformatic/kafka's Consumer without a stream: it joins, heartbeats and is assigned
 * partitions; what is read and from where is ours. The library stops heartbeating for good when a rejoin fails (a broker
 * was away), so a failed membership is joined again here.
 */

import { Admin, Consumer, type GroupAssignment } from '@platformatic/kafka'
import type { KafkaConnection } from '#common/kafka-connection.ts'
import { Retryable } from '#processor/errors.ts'
import type { Membership } from '#processor/ports.ts'
import { hasCode, kafkaError } from './connection.ts'

export type MembershipOptions = {
  connection: KafkaConnection
  groupId: string
  topic: string
  /** A worker that is silent for so long loses its partitions, ms. Fencing is the store's, so it may be short. */
  sessionTimeoutMs: number
  onTrouble: (message: string) => void
  /** Called with the name that this worker had when it comes back under another: the group took it for dead. */
  onRenamed: (before: string) => void
  /** How often it looks whether the topic has grown, ms. */
  lookEveryMs?: number
}

const REJOIN_PAUSE_MS = 500
const LOOK_EVERY_MS = 10_000
/** The broker's answer where the member has left already. */
const UNKNOWN_MEMBER = 'UNKNOWN_MEMBER_ID'

export class KafkaMembership implements Membership {
  readonly #options: MembershipOptions
  readonly #consumer: Consumer
  #onAssignment: (partitions: number[]) => void = () => {}
  #left = false
  #rejoining = false
  #partitions = 0
  #looking: NodeJS.Timeout | undefined
  #member: string | null = null

  constructor(options: MembershipOptions) {
    this.#options = options
    const { connection, groupId, sessionTimeoutMs } = options
    this.#consumer = new Consumer({
      ...connection,
      groupId,
      sessionTimeout: sessionTimeoutMs,
      heartbeatInterval: Math.floor(sessionTimeoutMs / 6),
      rebalanceTimeout: Math.max(sessionTimeoutMs, 5000),
    })
    this.#consumer.topics.trackAll(options.topic)
    this.#consumer.on('consumer:group:join', ({ assignments }) => this.#joined(this.#partitionsOf(assignments)))
    this.#consumer.on('consumer:heartbeat:stalled', () => void this.#rejoin('heartbeats stalled'))
    this.#consumer.on('error', error => void this.#rejoin(error.message))
  }

  /** Who this worker is to the group, and how many partitions it has seen in the topic. */
  describe(): { member: string | null; topicPartitions: number } {
    return { member: this.#member, topicPartitions: this.#partitions }
  }

  /**
   * Declares another member dead, so that its partitions move now and not after its session time-out. Should it live
   * after all, the store fences it, and it comes back under another name. False: it has left already. Throws Retryable.
   */
  async expel(member: string): Promise<boolean> {
    const { connection, groupId } = this.#options
    const admin = new Admin({ ...connection, clientId: `${connection.clientId}-admin` })
    try {
      const members = [{ memberId: member, reason: 'its pod is gone' }]
      await admin.removeMembersFromConsumerGroup({ groupId, members })
      this.#options.onTrouble(`member ${member} is dead: its partitions move`)
      return true
    } catch (error) {
      if (!hasCode(error, UNKNOWN_MEMBER)) throw kafkaError(error, `removing member ${member} from the group`)
      return false
    } finally {
      await admin.close().catch(() => {})
    }
  }

  async join(onAssignment: (partitions: number[]) => void): Promise<void> {
    this.#onAssignment = onAssignment
    try {
      await this.#consumer.joinGroup({})
      this.#partitions = await this.#countPartitions(false)
    } catch (error) {
      throw kafkaError(error, `joining group ${this.#options.groupId}`)
    }
    this.#looking = setInterval(() => void this.#look(), this.#options.lookEveryMs ?? LOOK_EVERY_MS).unref()
  }

  confirm(): Promise<number[]> {
    const { promise, resolve, reject } = Promise.withResolvers<number[]>()
    const confirmed = () => resolve(this.#partitionsOf(this.#consumer.assignments ?? []))
    const timer = setTimeout(
      () => reject(new Retryable('the group coordinator did not confirm the assignment')),
      this.#options.sessionTimeoutMs,
    )
    this.#consumer.once('consumer:heartbeat:end', confirmed)
    this.#consumer.once('consumer:group:join', confirmed)
    return promise.finally(() => {
      clearTimeout(timer)
      this.#consumer.off('consumer:heartbeat:end', confirmed)
      this.#consumer.off('consumer:group:join', confirmed)
    })
  }

  async publishOffsets(offsets: Map<number, number>): Promise<void> {
    if (!this.#consumer.isActive()) return
    const { topic } = this.#options
    try {
      await this.#consumer.commit({
        offsets: [...offsets].map(([partition, offset]) => ({
          topic,
          partition,
          offset: BigInt(offset),
          leaderEpoch: -1,
        })),
      })
    } catch (error) {
      throw kafkaError(error, 'publishing group offsets')
    }
  }

  async leave(): Promise<void> {
    this.#left = true
    clearInterval(this.#looking)
    try {
      if (this.#consumer.isActive()) await this.#consumer.leaveGroup()
    } finally {
      await this.#consumer.close(true)
    }
  }

  #joined(partitions: number[]): void {
    const before = this.#member
    this.#member = this.#consumer.memberId
    if (before !== null && before !== this.#member) this.#options.onRenamed(before)
    this.#onAssignment(partitions)
  }

  async #rejoin(reason: string): Promise<void> {
    if (this.#left || this.#rejoining) return
    this.#rejoining = true
    this.#options.onTrouble(`left the group unwillingly (${reason}); joining again`)
    try {
      while (!this.#left && !this.#consumer.isActive()) {
        await new Promise(resolve => setTimeout(resolve, REJOIN_PAUSE_MS))
        await this.#consumer.joinGroup({}).catch(error => this.#options.onTrouble((error as Error).message))
      }
    } finally {
      this.#rejoining = false
    }
  }

  /**
   * The group's leader assigns the partitions that it knew when the group last came together: when the topic has grown,
   * it must come together again. Where another member is the leader, joining again changes nothing.
   */
  async #look(): Promise<void> {
    const partitions = await this.#countPartitions(true).catch(() => 0) // a broker that is away is noticed elsewhere
    if (partitions <= this.#partitions || this.#rejoining || !this.#consumer.isActive()) return
    try {
      await this.#consumer.joinGroup({})
      this.#partitions = partitions
    } catch (error) {
      void this.#rejoin((error as Error).message)
    }
  }

  async #countPartitions(forceUpdate: boolean): Promise<number> {
    const { topic } = this.#options
    const { topics } = await this.#consumer.metadata({ topics: [topic], forceUpdate })
    return topics.get(topic)?.partitionsCount ?? 0
  }

  #partitionsOf(assignments: GroupAssignment[] | undefined): number[] {
    const mine = (assignments ?? []).find(assignment => assignment.topic === this.#options.topic)
    return [...(mine?.partitions ?? [])].sort((a, b) => a - b)
  }
}
