/**
 * Data path: source → decode → window → commit → project (the projector runs beside it, see projector.ts).
 *
 * Membership says which partitions to read; a claim in the store makes this worker their owner (contract, section 3).
 * Reading, processing and committing overlap: the next fetch is in flight while an answer is processed, and increments
 * gather while a commit is in flight.
 */
import type { CompiledSpec } from '#pipeline/compiled-spec.ts'
import { Claimer } from './claimer.ts'
import { Committer } from './committer.ts'
import { lastEpoch, offsetAfter, type Piece } from './core/batches.ts'
import type { PartitionState } from './core/partition.ts'
import { DeadLetterBounds } from './dead-letter-bounds.ts'
import { type Fatal, Retryable } from './errors.ts'
import { InputMonitor } from './input-monitor.ts'
import { OwnedPartition } from './owned-partition.ts'
import type { Chance, Clock, Fetched, Membership, Source, Store, Telemetry, Unsupported } from './ports.ts'
import { retrying, unlessAborted } from './retrying.ts'
import { topicConditions } from './topic-conditions.ts'
import { Upkeep } from './upkeep.ts'

/** Pause before the next poll while there is no assignment or claim to read from, ms. */
const NOTHING_TO_READ_MS = 20

export type FlowDeps = {
  compiled: CompiledSpec
  source: Source
  membership: Membership
  store: Store
  clock: Clock
  chance: Chance
  telemetry: Telemetry
  /** Yields the batches of a fetch response, uncompressed. Throws (while iterated) an Error if they are broken. */
  unpack: (data: Buffer) => AsyncIterable<Piece>
  /** SHA-256 in hex, for dead letters that are stored as a prefix. */
  sha256: (bytes: Buffer) => string
  /** See CommitterDeps. */
  partitionRows?: number
}

export class Flow {
  readonly #deps: FlowDeps
  readonly #partitions = new Map<number, OwnedPartition>()
  /** Graceful stop: stop reading, commit, leave the group. */
  readonly #draining = new AbortController()
  /** Hard stop: abandon everything in progress. */
  readonly #halted = new AbortController()
  #failure: unknown = null
  readonly #committer: Committer
  readonly #claimer: Claimer
  readonly #upkeep: Upkeep
  readonly #bounds: DeadLetterBounds

  constructor(deps: FlowDeps) {
    this.#deps = deps
    const shared = { ...deps, signal: this.#halted.signal, partitions: () => this.#partitions.values() }
    const fail = (error: unknown) => this.#fail(error)
    const input = new InputMonitor(deps.compiled, deps.telemetry)
    this.#bounds = new DeadLetterBounds(deps.compiled.spec.deadLetters, deps.sha256)
    this.#claimer = new Claimer({ ...shared, fail, openTopic: () => this.#openTopic() })
    this.#committer = new Committer({
      ...shared,
      fail,
      boundDeadLetters: commit => this.#bounds.apply(commit),
      noteInput: (shares, at) => input.note(shares, at),
      onLost: (partition, reason) => this.#claimer.reclaim(partition, reason),
      onRejected: (partition, offset) => this.#claimer.noteRejected(partition.partition, offset),
    })
    this.#upkeep = new Upkeep({
      ...shared,
      bounds: this.#bounds,
      input,
      onMoved: partition => this.#claimer.reclaim(partition, 'moved'),
    })
  }

  /** Opens the store, joins the group, reads and commits until `drain`, then leaves. Throws the error that ended it. */
  async run(): Promise<void> {
    const { membership } = this.#deps
    const shared = { ...this.#deps, signal: this.#draining.signal }
    if (!(await this.#openTopic())) return
    await retrying(shared, 'SourceUnavailable', () => membership.join(partitions => this.#assign(partitions)))
    const upkeep = this.#upkeep.run(this.#draining.signal).catch(error => this.#fail(error))
    try {
      await this.#ingest()
      await this.#finish()
    } finally {
      this.#draining.abort()
      await upkeep
      await membership.leave().catch(() => {})
      this.#halted.abort()
    }
    if (this.#failure) throw this.#failure
  }

  /** Stops reading, commits for at most `withinMs`, leaves the group; `run` then resolves. */
  drain(withinMs: number): void {
    this.#draining.abort()
    void this.#deps.clock.sleep(withinMs, this.#halted.signal).then(() => this.#halted.abort())
  }

  /** Abandons everything in progress; `run` then throws `reason`. */
  stop(reason: Fatal): void {
    this.#fail(reason)
  }

  /** Adds a row to the store for each partition of the topic. Resolves with false when the flow stops first. */
  async #openTopic(): Promise<boolean> {
    const { compiled, source, store, telemetry } = this.#deps
    const shared = { ...this.#deps, signal: this.#draining.signal }
    const topic = await retrying(shared, 'SourceUnavailable', () => source.describe())
    const opened = topic && (await retrying(shared, 'StoreUnavailable', () => store.open(topic)))
    if (!opened) return false
    const { WeakFutureGuard, PartitionsAdded } = topicConditions(compiled, topic, opened)
    telemetry.condition('WeakFutureGuard', WeakFutureGuard)
    telemetry.condition('PartitionsAdded', PartitionsAdded)
    return true
  }

  #fail(error: unknown): void {
    this.#failure ??= error
    this.#draining.abort()
    this.#halted.abort()
  }

  #assign(assigned: number[]): void {
    this.#deps.telemetry.rebalanced(assigned)
    for (const [number, partition] of this.#partitions) {
      if (assigned.includes(number)) continue
      partition.enter('revoked')
      this.#partitions.delete(number)
      this.#deps.telemetry.released(number)
    }
    for (const number of assigned) {
      if (this.#partitions.has(number) || this.#draining.signal.aborted) continue
      const partition = new OwnedPartition(number)
      this.#partitions.set(number, partition)
      this.#claimer.start(partition)
    }
  }

  async #ingest(): Promise<void> {
    const { signal } = this.#draining
    let polled = this.#poll()
    while (!signal.aborted) {
      const answers = (await unlessAborted(signal, () => polled)) ?? []
      for (const answer of answers) this.#advance(answer)
      polled = this.#poll()
      for (const answer of answers) await this.#handle(answer)
      await this.#committer.waitForCapacity()
    }
  }

  async #finish(): Promise<void> {
    for (const partition of this.#partitions.values()) if (partition.phase === 'running') partition.enter('draining')
    await this.#committer.flush()
    for (const partition of this.#partitions.values()) partition.enter('revoked')
    this.#partitions.clear()
  }

  /** Never rejects, because nobody may await it when the flow stops. */
  async #poll(): Promise<Fetched[]> {
    const { source, clock, telemetry } = this.#deps
    const requests = this.#bounds.paused
      ? []
      : [...this.#partitions.values()]
          .filter(p => p.readable)
          .map(p => ({ partition: p.partition, offset: p.position, epoch: p.positionEpoch }))
    try {
      if (requests.length > 0) {
        const answers = await source.poll(requests)
        telemetry.condition('SourceUnavailable', null)
        return answers
      }
      await clock.sleep(NOTHING_TO_READ_MS, this.#draining.signal)
    } catch (error) {
      if (!(error instanceof Retryable)) this.#fail(error)
      else if (!this.#draining.signal.aborted) {
        telemetry.condition('SourceUnavailable', error.message)
        await clock.sleep(error.afterMs, this.#draining.signal)
      }
    }
    return []
  }

  /** Moves the position past an answer before it is processed, so that the next fetch can already be sent. */
  #advance(answer: Fetched): void {
    const partition = this.#partitions.get(answer.partition)
    if (partition?.position === answer.offset && answer.data)
      partition.moveTo(offsetAfter(answer.data, answer.offset), lastEpoch(answer.data))
  }

  async #handle(answer: Fetched): Promise<void> {
    const partition = this.#partitions.get(answer.partition)
    const state = partition?.state
    if (!partition || !state || !partition.readable) return
    if (answer.offset !== state.nextOffset || !this.#committer.room(partition)) {
      partition.moveTo(state.nextOffset) // the answer is for an older position, or the partition must wait for a commit
      return
    }
    if (answer.outOfRange) {
      this.#claimer.reclaim(partition, 'moved') // the claim checks the log's bounds and reports the problem
      return
    }
    partition.observe(answer.highWatermark, answer.lastStableOffset, this.#deps.clock.now())
    if (answer.unsupported) this.#halt(partition, answer.unsupported)
    if (answer.data) await this.#step(partition, state, answer)
  }

  #halt(partition: OwnedPartition, { format, offset }: Unsupported): void {
    this.#deps.telemetry.condition(
      'MessageFormatUnsupported',
      `partition ${partition.partition} offset ${offset}: message format ${format} is not supported. Copy the records to a new topic with a current producer, and create a pipeline for that topic`,
    )
    partition.enter('halted')
  }

  async #step(partition: OwnedPartition, state: PartitionState, answer: Fetched): Promise<void> {
    const { telemetry } = this.#deps
    telemetry.fetched(partition.partition, answer.data!.length)
    state.begin(answer.aborted)
    try {
      await this.#process(partition, state, answer.data!)
    } catch (error) {
      if (partition.state !== state) return
      telemetry.condition(
        'CorruptBatch',
        `partition ${partition.partition} near offset ${state.nextOffset}: ${(error as Error).message}`,
      )
      partition.enter('halted')
      return
    }
    if (partition.state === state && state.nextOffset < partition.position) partition.moveTo(state.nextOffset)
  }

  /** One answer can lead to more rows than memory holds, so there may be commits between its records. */
  async #process(partition: OwnedPartition, state: PartitionState, data: Buffer): Promise<void> {
    for await (const piece of this.#deps.unpack(data)) {
      state.feed(piece)
      for (let hasEnded = false; !hasEnded; ) {
        const room = this.#committer.room(partition)
        if (partition.state !== state || !partition.readable || !room || this.#draining.signal.aborted) return
        hasEnded = state.process(room)
        partition.lastDataAt = this.#deps.clock.now()
        if (partition.phase === 'restoring' && !state.restoring) partition.enter('running')
        await this.#committer.waitForCapacity()
      }
    }
  }
}
