/**
 * Membership in the consumer group, through @platformatic/kafka's Consumer without a stream. The library joins,
 * heartbeats and receives the assignment; KafkaSource reads the records. When a rejoin fails, for example because a
 * broker is down, the library stops heartbeating for good, so this class rejoins.
 */

import { Admin, Consumer, type GroupAssignment } from '@platformatic/kafka'
import type { KafkaConnection } from '#common/kafka-connection.ts'
import { serverText } from '#common/redact.ts'
import { Retryable } from '#processor/errors.ts'
import type { Membership } from '#processor/ports.ts'
import { hasCode, kafkaError } from './connection.ts'

export type MembershipOptions = {
  connection: KafkaConnection
  groupId: string
  topic: string
  /** A worker that is silent for this long loses its partitions, ms. The store fences it, so the value may be short. */
  sessionTimeoutMs: number
  onTrouble: (message: string) => void
  /** Called with the former member id when the group gives this worker a new one, because it was considered dead. */
  onRenamed: (formerId: string) => void
  /** How often to check for new partitions of the topic, ms. */
  growthCheckMs?: number
}

const REJOIN_PAUSE_MS = 500
const GROWTH_CHECK_MS = 10_000
/** The broker's error code for a member that has already left. */
const UNKNOWN_MEMBER = 'UNKNOWN_MEMBER_ID'

export class KafkaMembership implements Membership {
  readonly #options: MembershipOptions
  readonly #consumer: Consumer
  #onAssignment: (partitions: number[]) => void = () => {}
  #left = false
  #rejoining = false
  #partitions = 0
  #growthTimer: NodeJS.Timeout | undefined
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
    this.#consumer.on('error', error => void this.#rejoin(serverText(error.message)))
  }

  /** Returns this worker's member id in the group, and how many partitions it has seen in the topic. */
  describe(): { member: string | null; topicPartitions: number } {
    return { member: this.#member, topicPartitions: this.#partitions }
  }

  /**
   * Declares another member dead, so that its partitions move now and not after its session time-out. If the member is
   * alive after all, the store fences it and it rejoins under a new id. `record` is called before the removal. Resolves
   * with false if the group has no such member. Rejects with Retryable, or with Fatal when Kafka denies access.
   */
  async expel(member: string, record: () => Promise<void>): Promise<boolean> {
    const { connection, groupId } = this.#options
    const admin = new Admin({ ...connection, clientId: `${connection.clientId}-admin` })
    try {
      const groups = await admin.describeGroups({ groups: [groupId] })
      // Anyone who reaches the port can send ids: only those of members are recorded.
      if (!groups.get(groupId)?.members.has(member)) return false
      await record()
      const members = [{ memberId: member, reason: 'its pod is dead' }]
      await admin.removeMembersFromConsumerGroup({ groupId, members })
      this.#options.onTrouble(`removed dead member ${member} from the group; its partitions are being reassigned`)
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
    this.#growthTimer = setInterval(
      () => void this.#checkForGrowth(),
      this.#options.growthCheckMs ?? GROWTH_CHECK_MS,
    ).unref()
  }

  confirm(): Promise<number[]> {
    const { sessionTimeoutMs } = this.#options
    const { promise, resolve, reject } = Promise.withResolvers<number[]>()
    const confirmed = () => resolve(this.#partitionsOf(this.#consumer.assignments ?? []))
    const timer = setTimeout(
      () =>
        reject(
          new Retryable(
            `Kafka's group coordinator did not confirm the assignment of partitions within ${sessionTimeoutMs} ms; check the brokers`,
          ),
        ),
      sessionTimeoutMs,
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
    clearInterval(this.#growthTimer)
    try {
      if (this.#consumer.isActive()) await this.#consumer.leaveGroup()
    } finally {
      await this.#consumer.close(true)
    }
  }

  #joined(partitions: number[]): void {
    const formerId = this.#member
    this.#member = this.#consumer.memberId
    if (formerId !== null && formerId !== this.#member) this.#options.onRenamed(formerId)
    this.#onAssignment(partitions)
  }

  async #rejoin(reason: string): Promise<void> {
    if (this.#left || this.#rejoining) return
    this.#rejoining = true
    this.#options.onTrouble(`lost consumer-group membership: ${reason}; rejoining`)
    try {
      while (!this.#left && !this.#consumer.isActive()) {
        await new Promise(resolve => setTimeout(resolve, REJOIN_PAUSE_MS))
        await this.#consumer
          .joinGroup({})
          .catch(error =>
            this.#options.onTrouble(
              `failed to rejoin the consumer group; retrying: ${serverText((error as Error).message)}`,
            ),
          )
      }
    } finally {
      this.#rejoining = false
    }
  }

  /**
   * Rejoins when the topic has more partitions. The group's leader assigns only the partitions that it knew at the last
   * rebalance, so new ones need another. If this member is not the leader, rejoining changes nothing.
   */
  async #checkForGrowth(): Promise<void> {
    const partitions = await this.#countPartitions(true).catch(() => 0) // other calls report an unreachable broker
    if (partitions <= this.#partitions || this.#rejoining || !this.#consumer.isActive()) return
    try {
      await this.#consumer.joinGroup({})
      this.#partitions = partitions
    } catch (error) {
      void this.#rejoin(serverText((error as Error).message))
    }
  }

  async #countPartitions(forceUpdate: boolean): Promise<number> {
    const { topic } = this.#options
    const { topics } = await this.#consumer.metadata({ topics: [topic], forceUpdate })
    return topics.get(topic)?.partitionsCount ?? 0
  }

  #partitionsOf(assignments: GroupAssignment[] | undefined): number[] {
    const assignment = (assignments ?? []).find(({ topic }) => topic === this.#options.topic)
    return [...(assignment?.partitions ?? [])].sort((a, b) => a - b)
  }
}
