/**
 * One seed: sales are written, workers come, stall, die and come back, answers are lost; in the end everything must be
 * counted exactly once. The flow, the core and the committer are the production ones; only the ports are simulated.
 */

import { specIdentity } from '#pipeline/identity.ts'
import { planOf } from '#pipeline/plan.ts'
import { MemoryDatabase } from '#processor/adapters/memory/database.ts'
import { MemoryProjection } from '#processor/adapters/memory/projection.ts'
import { MemoryStore } from '#processor/adapters/memory/store.ts'
import { Rejected, Retryable } from '#processor/errors.ts'
import { Flow } from '#processor/flow.ts'
import type { Commit, Outbox, Projection, Store, Telemetry } from '#processor/ports.ts'
import { runProjector } from '#processor/projector.ts'
import { differences, projectionDifferences } from './compare.ts'
import { Group } from './group.ts'
import { Topic } from './log.ts'
import { expect as expectRows } from './oracle.ts'
import { CURSED, drawKnobs, pipelineOf, writeSales } from './scenario.ts'
import { Life, World } from './world.ts'

/** How often each fault really happened: a simulation in which nothing goes wrong proves nothing. */
export type Bites = {
  commits: number
  fenced: number
  lostAnswers: number
  rebalances: number
  /** Killed while increments were not committed. */
  killedDirty: number
  zombies: number
  restored: number
  refused: number
  /** Rounds in which the sink answered nothing, though it may have taken the rows. */
  sinkFailures: number
  failures: string[]
}

const SPAN_MS = 30_000
/** Virtual. Draining after the last fault takes seconds; a system that needs minutes is stuck. */
const LIMIT_MS = 240_000

export async function simulate(seed: number): Promise<Bites> {
  const world = new World(seed)
  return new Simulation(world).run()
}

class Simulation {
  readonly #world: World
  readonly #bites: Bites = {
    commits: 0,
    fenced: 0,
    lostAnswers: 0,
    rebalances: 0,
    killedDirty: 0,
    zombies: 0,
    restored: 0,
    refused: 0,
    sinkFailures: 0,
    failures: [],
  }
  readonly #database = new MemoryDatabase()
  readonly #projection = new MemoryProjection()
  readonly #topic: Topic
  readonly #group: Group
  readonly #knobs
  readonly #pipeline
  readonly #plan
  readonly #workers = new Map<Life, { gathered: number }>()
  #started = 0
  #quiet = false

  constructor(world: World) {
    this.#world = world
    this.#knobs = drawKnobs(world.random)
    this.#pipeline = pipelineOf(this.#knobs)
    this.#plan = planOf(this.#pipeline.spec)
    this.#topic = new Topic(world, world.random.int(1, 5))
    this.#group = new Group(world, this.#topic.partitions.length)
  }

  async run(): Promise<Bites> {
    const world = this.#world
    writeSales(world, this.#topic, SPAN_MS)
    for (let i = world.random.int(1, 3); i > 0; i--) this.#startWorker()
    this.#plague()
    world.after(SPAN_MS * 2, () => {
      this.#quiet = true
    })
    await world
      .run(() => this.#quiet && this.#drained(), LIMIT_MS)
      .catch(error => {
        throw new Error(`${error.message}: ${this.#whatIsLeft()}`, { cause: error })
      })
    this.#bites.rebalances = this.#group.rebalances
    const expected = expectRows(
      this.#topic.partitions.map(p => p.visible),
      this.#knobs,
    )
    this.#bites.failures.push(
      ...differences(this.#database, this.#topic, this.#plan, expected),
      ...projectionDifferences(this.#database, this.#projection),
    )
    return this.#bites
  }

  #drained(): boolean {
    const committed = this.#topic.partitions.every((log, p) => this.#database.progress.get(p)?.nextOffset === log.end)
    return committed && this.#database.outbox.length === 0
  }

  #whatIsLeft(): string {
    const positions = this.#topic.partitions.map(
      (log, p) => `${this.#database.progress.get(p)?.nextOffset} of ${log.end}`,
    )
    const lives = [...this.#workers.keys()].map(life => `${life.name} ${life.state}`)
    return `committed ${positions.join(', ')}; ${this.#database.outbox.length} entries to project; ${lives.join(', ')}`
  }

  /** Something bad every now and then, until it is quiet; then whatever is stopped goes on, and somebody is alive. */
  #plague(): void {
    const { random } = this.#world
    const alive = [...this.#workers.keys()].filter(life => life.state !== 'dead')
    if (this.#quiet) {
      for (const life of alive) life.resume()
      if (alive.length === 0) this.#startWorker()
      return
    }
    const victim = alive.length > 0 ? random.pick(alive) : undefined
    const fate = random.next()
    if (victim && fate < 0.25) this.#kill(victim)
    else if (victim && fate < 0.5) {
      victim.pause()
      this.#world.after(random.int(100, 9000), () => victim.resume())
      this.#bites.zombies++
    } else if (alive.length < 4) this.#startWorker()
    this.#world.after(random.int(200, 4000), () => this.#plague())
  }

  #kill(life: Life): void {
    if (this.#workers.get(life)!.gathered > 0) this.#bites.killedDirty++
    life.kill()
  }

  #startWorker(): void {
    const life = new Life(this.#world, `worker-${this.#started++}`)
    const gauge = { gathered: 0 }
    this.#workers.set(life, gauge)
    const memory = this.#memoryStore()
    const shared = { clock: life.clock(), chance: this.#world.random, telemetry: this.#telemetry(gauge) }
    const flow = new Flow({
      ...shared,
      plan: this.#plan,
      source: this.#topic.source(life),
      membership: this.#group.membership(life),
      store: this.#store(life, memory),
      decompress: () => Buffer.alloc(0),
      sha256: () => '',
    })
    const fail = (error: Error) => this.#bites.failures.push(`${life.name} failed: ${error.stack}`)
    flow.run().catch(fail)
    const { signal } = new AbortController() // nobody stops it in order: it dies with its process
    const ports = { outbox: this.#outbox(life, memory), projection: this.#sink(life) }
    runProjector({ ...shared, ...ports, signal }).catch(fail)
  }

  #memoryStore(): MemoryStore {
    const { random } = this.#world
    return new MemoryStore({
      database: this.#database,
      plan: this.#plan,
      pipelineJson: JSON.stringify(this.#pipeline),
      specIdentity: specIdentity(this.#pipeline.spec),
      now: () => this.#world.now,
      newToken: () => String(random.next()),
    })
  }

  #outbox(life: Life, memory: MemoryStore): Outbox {
    return {
      take: limit => life.call(() => memory.take(limit)),
      confirm: (work, faults) => life.call(() => memory.confirm(work, faults), this.#quiet ? 0 : 0.05),
      pending: () => life.call(() => memory.pending()),
    }
  }

  /** Sometimes away, sometimes its answer is lost after it took the rows. */
  #sink(life: Life): Projection {
    const write: Projection['write'] = async rows => {
      if (!this.#quiet && this.#world.random.chance(0.1)) {
        this.#bites.sinkFailures++
        throw new Retryable('the sink is away')
      }
      return this.#projection.write(rows)
    }
    return {
      prepare: () => life.call(async () => {}),
      write: rows => life.call(() => write(rows), this.#quiet ? 0 : 0.05),
      close: async () => {},
    }
  }

  #store(life: Life, memory: MemoryStore): Store {
    const call = <T>(effect: () => Promise<T>) => life.call(effect, 0)
    return {
      open: topic => call(() => memory.open(topic)),
      claim: (partition, start) =>
        call(async () => {
          const claim = await memory.claim(partition, start)
          if (claim.restoreOffset < claim.nextOffset) this.#bites.restored++
          return claim
        }),
      positions: () => call(() => memory.positions()),
      commit: commit => life.call(() => this.#commit(memory, commit), this.#quiet ? 0 : 0.1),
      inspect: partitions => call(() => memory.inspect(partitions)),
      renewIdle: (owned, leaseMs) => call(() => memory.renewIdle(owned, leaseMs)),
      advance: () => call(() => memory.advance()),
      deadLetterBytes: () => call(() => memory.deadLetterBytes()),
      close: async () => {},
    }
  }

  async #commit(memory: MemoryStore, commit: Commit): Promise<void> {
    if (!this.#quiet && this.#world.random.chance(0.05)) throw new Retryable('the connection was refused')
    if (commit.aggregates.some(rows => rows.keys.some(column => column.includes(CURSED))))
      throw new Rejected('a constraint refuses the data')
    await memory.commit(commit)
    this.#bites.commits++
  }

  #telemetry(gauge: { gathered: number }): Telemetry {
    const bites = this.#bites
    return {
      fetched: () => {
        gauge.gathered++
      },
      committed: () => {
        gauge.gathered = 0
      },
      commitFailed(kind) {
        if (kind === 'fenced') bites.fenced++
        if (kind === 'retryable') bites.lostAnswers++
        if (kind === 'rejected') bites.refused++
      },
      condition(code, message) {
        if (message !== null && ['CorruptBatch', 'LogTruncated', 'OffsetOutOfRange'].includes(code))
          bites.failures.push(`${code}: ${message}`)
      },
      rebalanced: () => {},
      position: () => {},
      released: () => {},
      projected: () => {},
      projectionPending: () => {},
      pipelineClock: () => {},
      busy: () => {},
      log: () => {},
    }
  }
}
