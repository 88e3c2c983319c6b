/**
 * `producer load`: an open-loop generator on an absolute schedule. Each record's timestamp is the moment for which it
 * was meant, so that delay measured from it includes every stall on the way, ours too. When Kafka does not keep up,
 * a bounded queue fills, the generator waits, and what it owes is sent later with the timestamps that it had.
 */
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { kafkaConnection } from '#common/kafka-connection.ts'
import { KAFKA_OPEN_MS } from '#pipeline/limits.ts'
import type { Load, SalesPipeline } from '#pipeline/schema.ts'
import { UserError } from '#pipeline/user-error.ts'
import { Generator, type Made } from './generator.ts'
import { Journal, journalled } from './journal.ts'
import { Lanes } from './lanes.ts'
import { Schedule } from './schedule.ts'
import { type LoadRecord, Tally } from './tally.ts'
import { startTracing, type Tracing } from './tracing.ts'

export type LoadOptions = {
  pipeline: SalesPipeline
  /** In place of what spec.load says. */
  load?: Partial<Load>
  /** Stops once everything that is due within this time was sent, ms. */
  forMs?: number
  /** Sends so many sales as fast as Kafka takes them; the rate then only spaces their event times. */
  count?: number
  /** Folder of the journal; none is kept when left out. */
  journal?: string
  /** How long to wait for Kafka at the start and at the end, ms; 30 s each when left out. */
  openMs?: number
  flushMs?: number
  env?: NodeJS.ProcessEnv
}

export type LoadStats = {
  /** Records that the schedule has asked for so far; duplicates among them once they are due. */
  offered: number
  sent: number
  acknowledged: number
  /** Sent, but refused or never answered. */
  unknown: number
  perKind: Record<Made['kind'], number>
  /** By how much the generator is behind its schedule, ms. */
  behindMs: number
  /** Record timestamps of what was sent, ms since the epoch. */
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
  /** Reasons of failures, the first few. */
  errors: string[]
}

const TICK_MS = 10
/** Records made before the event loop gets its turn: a few ms of work. */
const MAX_TURN = 1000
/** What waits for Kafka at most: seconds of full load, not of memory. */
const MAX_QUEUED_BYTES = 16 * 1024 ** 2
/** A broker that restarts is back within this; what it has not answered by then counts as unknown. */
const FLUSH_MS = 30_000

/** Rejects when Kafka or the topic cannot be reached within `openMs`. */
export async function startLoad(options: LoadOptions): Promise<LoadRun> {
  const { pipeline, env = process.env, openMs = KAFKA_OPEN_MS } = options
  const { source, telemetry } = pipeline.spec
  const load = { ...pipeline.spec.load, ...options.load }
  if (options.count !== undefined && load.rate === 0)
    throw new UserError('a count needs a rate above 0, which spaces the event times')
  const clientId = 'sales-load'
  const tally = new Tally()
  const journal = options.journal === undefined ? null : new Journal(options.journal)
  const books = journal ? journalled(tally, journal) : tally
  const lanes = await Lanes.open(kafkaConnection(source, clientId, env), source.topic, books, openMs)
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
  /** Milliseconds of the schedule that had passed when it was last looked at. */
  #now = 0
  #duplicates = 0
  #maxBehindMs = 0
  /** Resolves when the run is over, by itself or by `stop`. */
  readonly finished: Promise<LoadReport>

  constructor(options: LoadOptions & { load: Load }, { lanes, tally, journal, tracing }: Parts) {
    const { load, count } = options
    this.#options = options
    this.#lanes = lanes
    this.#tally = tally
    this.#journal = journal
    this.#tracing = tracing
    this.#schedule = new Schedule(load.rate, load.bursts)
    // A backlog made all at once ends now: sales of the future would be refused.
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

  /** Events per second from now on; 0 pauses. */
  setRate(rate: number): void {
    this.#now = this.#elapsed()
    this.#schedule.setRate(rate, this.#now)
    this.#generator.reschedule()
  }

  /** Makes no more, and waits for up to `flushMs` for Kafka to acknowledge what was made. */
  stop(): Promise<LoadReport> {
    this.#stopping.abort()
    return this.finished
  }

  async #run(): Promise<LoadReport> {
    const { signal } = this.#stopping
    while (!signal.aborted && !this.#isOver()) {
      const made = this.#turn()
      await (made === MAX_TURN ? nextTurn() : sleep(TICK_MS, undefined, { signal }).catch(() => {}))
    }
    const offered = this.#offered()
    const seconds = (performance.now() - this.#startedAt) / 1000
    await this.#lanes.drain(this.#options.flushMs ?? FLUSH_MS)
    await this.#lanes.close()
    await this.#tracing?.shutdown()
    this.#journal?.close()
    return this.#report(offered, seconds)
  }

  /** Makes what is due and hands it to Kafka's lanes. Answers how many records. */
  #turn(): number {
    this.#now = this.#elapsed()
    this.#maxBehindMs = Math.max(this.#maxBehindMs, this.#behind())
    let made = 0
    while (made < MAX_TURN && this.#lanes.queuedBytes < MAX_QUEUED_BYTES) {
      const next = this.#next()
      if (next === null) break
      this.#lanes.add(this.#recordOf(next))
      made++
    }
    this.#lanes.flush()
    return made
  }

  #next(): Made | null {
    const { count } = this.#options
    if (count === undefined) return this.#generator.next(this.#now)
    return this.#generator.sales < count
      ? this.#generator.next(Number.POSITIVE_INFINITY)
      : this.#generator.nextDuplicate()
  }

  #recordOf({ kind, due, key, value }: Made): LoadRecord {
    if (kind === 'duplicate') this.#duplicates++
    const timestamp = this.#options.count === undefined ? this.#startedAtWall + Math.floor(due) : Date.now()
    const span = this.#tracing?.send(key.toString())
    return span ? { kind, key, value, timestamp, span, headers: span.headers } : { kind, key, value, timestamp }
  }

  #isOver(): boolean {
    const { count, forMs } = this.#options
    if (count !== undefined) return this.#generator.sales === count && !this.#generator.owesDuplicates
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
