/** Reads the topic with its own Fetch requests on @platformatic/kafka's connections, one per leader at a time. */

import { performance } from 'node:perf_hooks'
import {
  Admin,
  ConfigResourceTypes,
  type Connection,
  ConnectionPool,
  Consumer,
  offsetForLeaderEpochV4,
} from '@platformatic/kafka'
import type { KafkaConnection } from '#common/kafka-connection.ts'
import { explainClosed } from '#common/tls-refusal.ts'
import { START_OVER } from '#pipeline/start-over.ts'
import { Fatal, Retryable } from '#processor/errors.ts'
import type { Fetched, FetchRequest, OpenTransaction, Source, TopicInfo } from '#processor/ports.ts'
import { kafkaError } from './connection.ts'
import { fetchOpenTransactions } from './describe-producers.ts'
import { checkBatches, type FetchAnswer, type FetchedPartition, fetchBatches, supportedBatches } from './fetch.ts'

/** How long a leader may hold a fetch without data, ms. A new assignment may wait as long for its first fetch. */
const MAX_WAIT_MS = 250
/** Per response. Two are in memory at once, one being processed and one in flight: 2 × 1 MiB, whatever the lag. */
const MAX_BYTES = 1 << 20
const PARTITION_MAX_BYTES = 256 << 10
/** How often to refresh the leaders while a partition has none, ms. */
const LEADER_REFRESH_MS = 500
const READ_COMMITTED = 1
const TOPIC_CONFIGS = ['cleanup.policy', 'message.timestamp.type', 'message.timestamp.after.max.ms']

const NONE = 0
const OFFSET_OUT_OF_RANGE = 1
const UNKNOWN_TOPIC_ID = 100
const TOPIC_AUTHORIZATION_FAILED = 29

type Leader = { id: number; host: string; port: number }

export class KafkaSource implements Source {
  readonly #topic: string
  readonly #connection: KafkaConnection
  readonly #client: Consumer
  readonly #admin: Admin
  readonly #connections: ConnectionPool
  #topicId = ''
  #leaders: Map<number, Leader> | null = null
  #nextLeaderRefresh = 0
  readonly #inFlight = new Map<number, Promise<{ leader: number; requests: FetchRequest[]; answer: FetchAnswer }>>()

  /** The bytes of past responses, oldest first. During a call only the newest may still be in use (ports.ts). */
  readonly #handedOut: Buffer[][] = []

  constructor(connection: KafkaConnection, topic: string) {
    this.#topic = topic
    this.#connection = connection
    this.#client = new Consumer({ ...connection, groupId: 'unused' })
    this.#admin = new Admin(connection)
    this.#connections = new ConnectionPool(connection.clientId, connection)
    for (const client of [this.#client, this.#admin]) client.on('error', () => {}) // each call reports its own errors
  }

  async describe(): Promise<TopicInfo> {
    try {
      const topic = await this.#describeTopic()
      const [{ configs } = { configs: [] }] = await this.#admin.describeConfigs({
        resources: [
          { resourceType: ConfigResourceTypes.TOPIC, resourceName: this.#topic, configurationKeys: TOPIC_CONFIGS },
        ],
      })
      const config = (name: string) => configs.find(c => c.name === name)?.value ?? ''
      const policy = config('cleanup.policy')
      if (policy.includes('compact'))
        throw new Fatal(
          'TopicCompacted',
          `topic ${this.#topic} has cleanup.policy=${policy}: compaction removes sales. Change the topic setting to cleanup.policy=delete`,
        )
      this.#topicId = topic.id
      // Brokers before 3.6 do not know this setting and accept any timestamp.
      const bound = Number(config('message.timestamp.after.max.ms') || Number.POSITIVE_INFINITY)
      const maxAheadMs = config('message.timestamp.type') === 'LogAppendTime' ? 0 : bound
      return { topic: this.#topic, topicId: topic.id, partitions: topic.partitionsCount, maxAheadMs }
    } catch (error) {
      throw kafkaError(await explainClosed(error, this.#connection), `describing topic ${this.#topic}`)
    }
  }

  async offsets(partitions: number[], at: 'earliest' | 'latest' | number): Promise<Map<number, number>> {
    const timestamp = at === 'earliest' ? -2n : at === 'latest' ? -1n : BigInt(at)
    try {
      const answer = await this.#client.listOffsets({
        topics: [this.#topic],
        partitions: { [this.#topic]: partitions },
        timestamp,
        isolationLevel: 0, // the end is the high watermark, even while transactions are open
      })
      const offsets = answer.get(this.#topic) ?? []
      const found = new Map(partitions.map(partition => [partition, Number(offsets[partition] ?? -1n)]))
      const noRecord = partitions.filter(partition => found.get(partition)! < 0) // no record is that recent
      if (noRecord.length === 0) return found
      if (at === 'latest')
        throw new Retryable(
          `Kafka returned no end offset for partitions ${noRecord.join(', ')} of topic ${this.#topic}; retrying`,
        )
      return new Map([...found, ...(await this.offsets(noRecord, 'latest'))])
    } catch (error) {
      throw kafkaError(error, `looking up offsets of ${this.#topic}`)
    }
  }

  async poll(requests: FetchRequest[]): Promise<Fetched[]> {
    for (const data of this.#handedOut.splice(0, this.#handedOut.length - 1).flat()) release(data)
    try {
      const leaders = await this.#leadersOf(requests)
      for (const [id, group] of groupByLeader(requests, leaders))
        if (!this.#inFlight.has(id)) this.#send(leaders, id, group)
      if (this.#inFlight.size === 0)
        throw new Retryable(`no leader is known for the partitions of topic ${this.#topic}; retrying`)
      const { leader, requests: sent, answer } = await Promise.race(this.#inFlight.values())
      this.#inFlight.delete(leader)
      const fetched = await this.#accept(sent, answer)
      this.#handedOut.push(fetched.flatMap(({ data }) => data ?? []))
      return fetched
    } catch (error) {
      this.#leaders = null // a leader may have moved
      throw kafkaError(error, `fetching ${this.#topic}`)
    }
  }

  endOfEpoch(partition: number, leaderEpoch: number): Promise<number | null> {
    const topics = [
      { name: this.#topic, partitions: [{ partitionIndex: partition, currentLeaderEpoch: -1, leaderEpoch }] },
    ]
    return this.#askLeader(partition, `asking for the end of leader epoch ${leaderEpoch}`, async leader => {
      const answer = await offsetForLeaderEpochV4.api.async(leader, -1, topics)
      const end = Number(answer.topics[0]!.partitions[0]!.endOffset)
      return end < 0 ? null : end
    })
  }

  openTransactions(partition: number): Promise<OpenTransaction[]> {
    return this.#askLeader(partition, 'asking for open transactions', leader =>
      fetchOpenTransactions(leader, this.#topic, partition),
    )
  }

  async #askLeader<T>(partition: number, doing: string, ask: (leader: Connection) => Promise<T>): Promise<T> {
    try {
      const leader = (await this.#leadersOf([{ partition }])).get(partition)
      if (!leader)
        throw new Retryable(`no leader is known for partition ${partition} of topic ${this.#topic}; retrying`)
      return await ask(await this.#connections.get(leader))
    } catch (error) {
      this.#leaders = null
      throw kafkaError(error, `${doing} of partition ${partition} of ${this.#topic}`)
    }
  }

  async close(): Promise<void> {
    await Promise.allSettled([this.#client.close(), this.#admin.close(), this.#connections.close()])
  }

  #send(leaders: Map<number, Leader>, id: number, requests: FetchRequest[]): void {
    const { host, port } = [...leaders.values()].find(leader => leader.id === id)!
    const fetching = this.#connections
      .get({ host, port })
      .then(connection => this.#fetch(connection, requests))
      .then(answer => ({ leader: id, requests, answer }))
    // If poll() is waiting for this request, it rejects. Otherwise nobody handles the error.
    fetching.catch(() => this.#inFlight.delete(id))
    this.#inFlight.set(id, fetching)
  }

  #fetch(connection: Connection, requests: FetchRequest[]): Promise<FetchAnswer> {
    const partitions = requests.map(({ partition, offset, epoch }) => ({
      partition,
      currentLeaderEpoch: -1,
      fetchOffset: BigInt(offset),
      lastFetchedEpoch: epoch,
      partitionMaxBytes: PARTITION_MAX_BYTES,
    }))
    const topics = [{ topicId: this.#topicId, partitions }]
    return fetchBatches.async(connection, MAX_WAIT_MS, 1, MAX_BYTES, READ_COMMITTED, 0, -1, topics, [], '')
  }

  async #accept(requests: FetchRequest[], answer: FetchAnswer): Promise<Fetched[]> {
    const good = answer.partitions.filter(p => p.errorCode === NONE || p.errorCode === OFFSET_OUT_OF_RANGE)
    const bad = answer.partitions.filter(p => !good.includes(p))
    if (bad.length > 0 || answer.errorCode !== NONE)
      await this.#checkErrors(
        bad.map(p => p.errorCode),
        answer.errorCode,
      )
    if (good.length === 0)
      throw new Retryable(
        `no partition of topic ${this.#topic} could be fetched (Kafka errors ${bad.map(p => p.errorCode).join(', ') || answer.errorCode}); retrying`,
      )
    return good.map(p => toFetched(p, requests.find(request => request.partition === p.partition)!.offset))
  }

  /** Throws Fatal when access is denied or the topic has another id. Other errors are normal when a leader changes. */
  async #checkErrors(codes: number[], topLevel: number): Promise<void> {
    this.#leaders = null
    if (codes.includes(TOPIC_AUTHORIZATION_FAILED))
      throw new Fatal('AccessDenied', `Kafka denies access to topic ${this.#topic}: grant Read and Describe`)
    if (!codes.includes(UNKNOWN_TOPIC_ID) && topLevel !== UNKNOWN_TOPIC_ID) return
    const { id } = await this.#describeTopic()
    if (id !== this.#topicId)
      throw new Fatal(
        'TopicReplaced',
        `topic ${this.#topic} was deleted and created again (old id ${this.#topicId}, new id ${id}), so the stored offsets refer to other records; ${START_OVER}`,
      )
  }

  /** Refreshes the leaders from time to time while a partition has none, because it is new or its leader is changing. */
  async #leadersOf(requests: { partition: number }[]): Promise<Map<number, Leader>> {
    const unknown = requests.some(({ partition }) => !this.#leaders?.has(partition))
    if (this.#leaders && (!unknown || performance.now() < this.#nextLeaderRefresh)) return this.#leaders
    this.#nextLeaderRefresh = performance.now() + LEADER_REFRESH_MS
    this.#leaders = await this.#findLeaders()
    return this.#leaders
  }

  async #findLeaders(): Promise<Map<number, Leader>> {
    const { partitions, brokers } = await this.#describeTopic()
    const leaders = new Map<number, Leader>()
    partitions.forEach(({ leader }, partition) => {
      const broker = brokers.get(leader)
      if (broker) leaders.set(partition, { id: leader, host: broker.host, port: broker.port })
    })
    return leaders
  }

  async #describeTopic() {
    try {
      const { topics, brokers } = await this.#client.metadata({ topics: [this.#topic], forceUpdate: true })
      return { ...topics.get(this.#topic)!, brokers }
    } catch (error) {
      // The library has no error code for a missing topic.
      if (!(error as Error).message.startsWith('Unknown topic')) throw error
      const message = `topic ${this.#topic} does not exist: create it, or correct spec.source.topic; workers then continue automatically`
      throw new Retryable(message, { afterMs: 1000, condition: 'TopicMissing', cause: error })
    }
  }
}

function groupByLeader(requests: FetchRequest[], leaders: Map<number, Leader>): Map<number, FetchRequest[]> {
  return Map.groupBy(
    requests.filter(r => leaders.has(r.partition)),
    r => leaders.get(r.partition)!.id,
  )
}

function toFetched(p: FetchedPartition, offset: number): Fetched {
  const { partition, highWatermark, lastStableOffset, logStartOffset, aborted, diverged } = p
  const { data, unsupported } = p.data ? supportedBatches(p.data) : { data: null, unsupported: null }
  if (data) checkBatches(data, partition)
  return {
    partition,
    offset,
    highWatermark,
    lastStableOffset,
    logStartOffset,
    data,
    unsupported,
    aborted,
    outOfRange: p.errorCode === OFFSET_OUT_OF_RANGE || diverged,
  }
}

/**
 * Frees memory at once. The garbage collector frees such buffers late, because they hardly count towards its own heap;
 * with a backlog, tens of megabytes of used responses would remain in memory.
 */
function release({ buffer, byteLength }: Buffer): void {
  // Only when this buffer is the only view: small buffers share a pool, and others may be views of a socket's data.
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0)
}
