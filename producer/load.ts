/**
 * `producer load`: an open-loop generator on an absolute schedule. Each record's timestamp is its scheduled time, so that
 * a delay measured from it includes every stall, also one of the generator. If Kafka does not keep up, a bounded queue
 * fills and the generator waits. Overdue records are sent later with their scheduled timestamps.
 */
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { kafkaConnection } from '#common/kafka-connection.ts'
import { KAFKA_OPEN_MS } from '#pipeline/limits.ts'
import type { Load, SalesPipeline } from '#pipeline/schema.ts'
import { UserError } from '#pipeline/user-error.ts'
import { type GeneratedEvent, Generator } from './generator.ts'
import { Journal, journalled } from './journal.ts'
import { Lanes } from './lanes.ts'
import { Schedule } from './schedule.ts'
import { type LoadRecord, Tally } from './tally.ts'
import { startTracing, type Tracing } from './tracing.ts'

export type LoadOptions = {
  pipeline: SalesPipeline
  /** Overrides spec.load. */
  load?: Partial<Load>
  /** Stops after sending everything that is due within this time, ms. */
  forMs?: number
  /** Sends this many sales as fast as Kafka accepts them; the rate then only sets the distance between their event times. */
  count?: number
  /** Folder of the journal; no journal when left out. */
  journal?: string
  /** How long to wait for Kafka at the start (openMs) and at the end (flushMs), ms; 30 s each when left out. */
  openMs?: number
  flushMs?: number
  env?: NodeJS.ProcessEnv
}

export type LoadStats = {
  /** Records that are due by now, including duplicates. */
  offered: number
  sent: number
  acknowledged: number
  /** Sent, but rejected or never acknowledged. */
  unknown: number
  perKind: Record<GeneratedEvent['kind'], number>
  /** Delay of the generator against its schedule, ms. */
  behindMs: number
  /** First and last timestamp of the records sent, ms since the epoch. */
  firstAt: number | null
  lastAt: number | null
}

export type LoadReport = LoadStats & {
  seconds: number
  /** Acknowledged per second. */
  achievedRate: number
  maxBehindMs: number
  /** CPU time of this process per record sent, µs. */
  cpuPerRecord: number
  /** Messages of the first few failures. */
  errors: string[]
}

const TICK_MS = 10
/** Records generated before yielding to the event loop: a few ms of work. */
const MAX_TURN = 1000
/** Maximum of queued bytes: some seconds of full load. */
const MAX_QUEUED_BYTES = 16 * 1024 ** 2
/** A broker restarts within this time. Records without a response by then count as unknown. */
const FLUSH_MS = 30_000

/** Rejects with a UserError if Kafka or the topic cannot be reached within `openMs`. */
export async function startLoad(options: LoadOptions): Promise<LoadRun> {
  const { pipeline, env = process.env, openMs = KAFKA_OPEN_MS } = options
  const { source, telemetry } = pipeline.spec
  const load = { ...pipeline.spec.load, ...options.load }
  if (options.count !== undefined && load.rate === 0)
    throw new UserError(
      'the rate is 0, but --count needs a rate above 0, which sets the time between two event times; set --rate',
    )
  const clientId = 'sales-load'
  const tally = new Tally()
  const journal = options.journal === undefined ? null : new Journal(options.journal)
  const ledger = journal ? journalled(tally, journal) : tally
  const lanes = await Lanes.open(kafkaConnection(source, clientId, env), source.topic, ledger, openMs)
  const tracing = await startTracing({ topic: source.topic, clientId, sampling: telemetry.traceSampling, env })
  return new LoadRun({ ...options, load }, { lanes, tally, journal, tracing })
}

type Parts = { lanes: Lanes<LoadRecord>; tally: Tally; journal: Journal | null; tracing: Tracing | null }

export class LoadRun {
  readonly #options: LoadOptions
  readonly #lanes: Lanes<LoadRecord>
  readonly #tally: Tally
  readonly #journal: Journal | null
  readonly #tracing: Tracing | null
  readonly #schedule: Schedule
  readonly #generator: Generator
  readonly #startedAt = performance.now()
  readonly #startedAtWall = Date.now()
  readonly #cpuAtStart = process.cpuUsage()
  readonly #stopping = new AbortController()
  /** Time of the last turn, ms after the start. */
  #now = 0
  #duplicates = 0
  #maxBehindMs = 0
  /** Resolves when the run has ended, by its limits or by `stop`. */
  readonly finished: Promise<LoadReport>

  constructor(options: LoadOptions & { load: Load }, { lanes, tally, journal, tracing }: Parts) {
    const { load, count } = options
    this.#options = options
    this.#lanes = lanes
    this.#tally = tally
    this.#journal = journal
    this.#tracing = tracing
    this.#schedule = new Schedule(load.rate, load.bursts)
    // A backlog ends at the current time, because sales with a future event time would be dead letters.
    const span = count === undefined ? 0 : Math.ceil(this.#schedule.timeOf(count) * load.speed)
    const eventStart = load.startAt === undefined ? this.#startedAtWall - span : Date.parse(load.startAt)
    this.#generator = new Generator(load, this.#schedule, eventStart)
    this.finished = this.#run()
  }

  stats(): LoadStats {
    const { sent, acknowledged, unknown, perKind, firstAt, lastAt } = this.#tally
    const behindMs = Math.round(this.#behind())
    return { offered: this.#offered(), sent, acknowledged, unknown, perKind: { ...perKind }, behindMs, firstAt, lastAt }
  }

  /** Changes the rate from now on, events per second; 0 pauses. */
  setRate(rate: number): void {
    this.#now = this.#elapsed()
    this.#schedule.setRate(rate, this.#now)
    this.#generator.reschedule()
  }

  /** Stops generating and waits up to `flushMs` for acknowledgements. */
  stop(): Promise<LoadReport> {
    this.#stopping.abort()
    return this.finished
  }

  async #run(): Promise<LoadReport> {
    const { signal } = this.#stopping
    while (!signal.aborted && !this.#isOver()) {
      const count = this.#turn()
      await (count === MAX_TURN ? nextTurn() : sleep(TICK_MS, undefined, { signal }).catch(() => {}))
    }
    const offered = this.#offered()
    const seconds = (performance.now() - this.#startedAt) / 1000
    await this.#lanes.drain(this.#options.flushMs ?? FLUSH_MS)
    await this.#lanes.close()
    await this.#tracing?.shutdown()
    this.#journal?.close()
    return this.#report(offered, seconds)
  }

  /** Generates the records that are due and sends them. Returns their number. */
  #turn(): number {
    this.#now = this.#elapsed()
    this.#maxBehindMs = Math.max(this.#maxBehindMs, this.#behind())
    let count = 0
    while (count < MAX_TURN && this.#lanes.queuedBytes < MAX_QUEUED_BYTES) {
      const next = this.#next()
      if (next === null) break
      this.#lanes.add(this.#recordOf(next))
      count++
    }
    this.#lanes.flush()
    return count
  }

  #next(): GeneratedEvent | null {
    const { count } = this.#options
    if (count === undefined) return this.#generator.next(this.#now)
    return this.#generator.sales < count
      ? this.#generator.next(Number.POSITIVE_INFINITY)
      : this.#generator.nextDuplicate()
  }

  #recordOf({ kind, due, key, value }: GeneratedEvent): LoadRecord {
    if (kind === 'duplicate') this.#duplicates++
    const timestamp = this.#options.count === undefined ? this.#startedAtWall + Math.floor(due) : Date.now()
    const span = this.#tracing?.send(key.toString())
    return span ? { kind, key, value, timestamp, span, headers: span.headers } : { kind, key, value, timestamp }
  }

  #isOver(): boolean {
    const { count, forMs } = this.#options
    if (count !== undefined) return this.#generator.sales === count && !this.#generator.hasDuplicates
    return forMs !== undefined && this.#now >= forMs && this.#generator.nextDue >= forMs
  }

  #elapsed(): number {
    return Math.min(performance.now() - this.#startedAt, this.#options.forMs ?? Number.POSITIVE_INFINITY)
  }

  #behind(): number {
    return this.#options.count === undefined ? Math.max(0, this.#now - this.#generator.nextDue) : 0
  }

  #offered(): number {
    const scheduled = this.#options.count === undefined
    return (scheduled ? this.#schedule.countBefore(this.#now) : this.#generator.sales) + this.#duplicates
  }

  #report(offered: number, seconds: number): LoadReport {
    const stats = this.stats()
    const { user, system } = process.cpuUsage(this.#cpuAtStart)
    return {
      ...stats,
      offered,
      seconds,
      achievedRate: stats.acknowledged / seconds,
      maxBehindMs: Math.round(this.#maxBehindMs),
      cpuPerRecord: (user + system) / Math.max(1, stats.sent),
      errors: [...this.#tally.errors],
    }
  }
}
