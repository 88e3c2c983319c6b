/**
 * Simulates one seed: sales are written, workers start, stall, die and come back, responses are lost; in the end every
 * sale must be counted exactly once. The flow, the core and the committer are production code; only the ports are
 * simulated.
 */
import { type CompiledSpec, compileSpec } from '#pipeline/compiled-spec.ts'
import { specIdentity } from '#pipeline/identity.ts'
import type { SalesPipeline } from '#pipeline/schema.ts'
import { unpack } from '#processor/adapters/kafka/unpack.ts'
import { MemoryDatabase } from '#processor/adapters/memory/database.ts'
import { MemorySink } from '#processor/adapters/memory/sink.ts'
import { MemoryStore } from '#processor/adapters/memory/store.ts'
import type { Claim } from '#processor/core/claim.ts'
import type { Commit } from '#processor/core/commit.ts'
import { Fatal, Rejected, Retryable } from '#processor/errors.ts'
import { Flow } from '#processor/flow.ts'
import type { Outbox, Sink, Store } from '#processor/ports.ts'
import { runProjector } from '#processor/projector.ts'
import { differences, markDifferences, projectionDifferences } from './compare.ts'
import { Group } from './group.ts'
import { Topic } from './log.ts'
import { expect as expectRows, partialWindows } from './oracle.ts'
import { drawKnobs, type Knobs, pipelineOf, REJECTED_CATEGORY, writeSales } from './scenario.ts'
import { countingTelemetry, emptyStatistics, type Statistics } from './statistics.ts'
import { Life, World } from './world.ts'

/** A version of the spec: other lateness, disorder and deduplication, with or without the aggregation `extra`. */
type Version = { knobs: Knobs; pipeline: SalesPipeline; compiled: CompiledSpec; identity: string }

function versionOf(knobs: Knobs): Version {
  const pipeline = pipelineOf(knobs)
  return { knobs, pipeline, compiled: compileSpec(pipeline.spec), identity: specIdentity(pipeline.spec) }
}

const SPAN_MS = 30_000
/** Some seeds have many sales with many lines, and make commits inside of them. */
const CUTTING = { share: 0.12, longSales: 0.25, partitionRows: 25 }
/** Virtual ms: the idle timeout of the spec and a few rounds of upkeep. */
const SETTLES_WITHIN_MS = 6000
/** Virtual ms. Draining after the last fault takes seconds; a system that needs minutes is stuck. */
const LIMIT_MS = 240_000

export async function simulate(seed: number): Promise<Statistics> {
  const world = new World(seed)
  return new Simulation(world).run()
}

class Simulation {
  readonly #world: World
  readonly #statistics = emptyStatistics()
  readonly #database = new MemoryDatabase()
  readonly #isCutting: boolean
  readonly #projected = new MemorySink()
  readonly #topic: Topic
  readonly #group: Group
  /** All versions of the spec; the first `#rolledOut` of them are rolled out. */
  readonly #versions: Version[]
  #rolledOut = 1
  readonly #workers = new Map<Life, { gathered: number }>()
  #started = 0
  #quiet = false
  #failingOver = false
  #hasLostDocuments = false
  /** Rows and late events of `extra` that lack lines, because a version without it finished a record. */
  readonly #cut = new Set<string>()

  constructor(world: World) {
    this.#world = world
    this.#isCutting = world.random.chance(CUTTING.share)
    const first = world.random.int(0, 1)
    this.#versions = Array.from({ length: world.random.int(this.#isCutting ? 2 : 1, 3) }, (_, i) =>
      versionOf(drawKnobs(world.random, (first + i) % 2 === 1)),
    )
    this.#topic = new Topic(world, world.random.int(1, 5), world.random.chance(0.4) ? world.random.int(1, 2) : 0)
    this.#group = new Group(world, this.#topic.known)
  }

  async run(): Promise<Statistics> {
    const world = this.#world
    const growsAfter = world.random.int(1000, SPAN_MS / 2)
    writeSales(world, this.#topic, SPAN_MS, growsAfter, this.#isCutting ? CUTTING.longSales : 0)
    world.after(growsAfter, () => this.#grow())
    if (world.random.chance(0.5)) this.#failOver(world.random.int(1000, SPAN_MS + 1000), world.random.int(1, 2000))
    if (world.random.chance(0.5)) world.after(world.random.int(1000, SPAN_MS + 1000), () => this.#loseDocuments())
    for (let version = 1; version < this.#versions.length; version++)
      world.after(world.random.int(1000, SPAN_MS), () => this.#rollOut())
    for (let i = world.random.int(1, 3); i > 0; i--) this.#startWorker()
    this.#injectFaults()
    // Faults end before or after the last sales: both a drain with new sales and one without them are tested.
    world.after(SPAN_MS * (0.9 + world.random.next()), () => {
      this.#quiet = true
    })
    await this.#untilDrained()
    // A failover may roll back final rows; they become final again, with a newer version, once the partitions are idle.
    const settledAt = world.now + SETTLES_WITHIN_MS
    await world.run(() => world.now >= settledAt, LIMIT_MS)
    await this.#untilDrained()
    this.#statistics.rebalances = this.#group.rebalances
    const { dead } = this.#database
    for (const { countedLines } of dead.values()) this.#statistics.keptLines += countedLines
    const expected = expectRows(
      this.#topic.partitions.map(p => p.visible),
      {
        knobsAt: (partition, offset) => ({
          ...this.#versionAt(partition, offset).knobs,
          sourcesSince: this.#sourcesSince(partition, offset),
        }),
        countedLines: (partition, offset) => dead.get(`${partition}|${offset}`)?.countedLines ?? 0,
      },
    )
    this.#statistics.failures.push(
      ...differences(this.#database, this.#topic, expected, row => this.#cut.has(row)),
      ...this.#markDifferences(),
      ...projectionDifferences(this.#database, this.#projected),
    )
    return this.#statistics
  }

  /** Rows of an aggregation that is not in the newest spec are not maintained any more, so their marks do not count. */
  #markDifferences(): string[] {
    const { specs, specHistory, tables } = this.#database
    const newest = this.#versions.find(({ identity }) => identity === specs.at(-1)!.identity)!
    if (!newest.knobs.extra) return []
    const histories = this.#topic.partitions.map((_, partition) =>
      specHistory
        .filter(entry => entry.partition === partition)
        .map(({ fromOffset }) => ({ from: fromOffset, knobs: this.#versionAt(partition, fromOffset).knobs })),
    )
    this.#statistics.partialRows += [...tables.get('extra')!.values()].filter(({ partial }) => partial).length
    return markDifferences(
      this.#database,
      partialWindows(
        this.#topic.partitions.map(({ visible }) => visible),
        histories,
      ),
    )
  }

  async #untilDrained(): Promise<void> {
    await this.#world
      .run(() => this.#quiet && !this.#failingOver && this.#drained(), LIMIT_MS)
      .catch(error => {
        throw new Error(`${error.message}: ${this.#remainingWork()}`, { cause: error })
      })
  }

  #grow(): void {
    this.#statistics.addedPartitions = this.#topic.partitions.length - this.#topic.known
    this.#topic.known = this.#topic.partitions.length
    this.#group.grow(this.#topic.known)
  }

  /** Somebody deletes the documents. What the sink remembers of removed rows stays. */
  #loseDocuments(): void {
    const { revisions } = this.#projected
    for (const [id, { document }] of revisions) if (document) revisions.delete(id)
    this.#hasLostDocuments = true
    this.#statistics.losses++
  }

  /** A standby that lags behind takes over: rows and progress are rolled back together (contract, section 3). */
  #failOver(afterMs: number, lagMs: number): void {
    this.#failingOver = true
    this.#world.after(afterMs, () => {
      const standby = structuredClone({ ...this.#database, lease: null })
      const before = this.#statistics.commits
      this.#world.after(lagMs, () => {
        this.#failingOver = false
        this.#statistics.rolledBack += this.#statistics.commits > before ? 1 : 0
        Object.assign(this.#database, standby)
        for (const name of this.#database.tables.keys()) this.#database.renew(name, this.#world.now)
      })
    })
  }

  /** Starts a worker of the new version; workers of older versions continue until they are refused. */
  #rollOut(): void {
    this.#rolledOut++
    this.#startWorker()
  }

  /** Returns the version in force for a record, by the spec history that the claims wrote. */
  #versionAt(partition: number, offset: number): Version {
    const { specHistory, specs } = this.#database
    const { generation } = specHistory
      .filter(entry => entry.partition === partition && entry.fromOffset <= offset)
      .reduce((latest, entry) => (entry.fromOffset > latest.fromOffset ? entry : latest))
    const { identity } = specs.find(spec => spec.generation === generation)!
    return this.#versions.find(version => version.identity === identity)!
  }

  /** Returns where the present setting `sources` began, by the spec history. */
  #sourcesSince(partition: number, offset: number): number {
    const entries = this.#database.specHistory
      .filter(entry => entry.partition === partition && entry.fromOffset <= offset)
      .map(({ fromOffset }) => ({ fromOffset, sources: this.#versionAt(partition, fromOffset).knobs.sources }))
      .sort((a, b) => a.fromOffset - b.fromOffset)
    const other = entries.findLastIndex(({ sources }) => sources !== entries.at(-1)!.sources)
    return entries[other + 1]!.fromOffset
  }

  #drained(): boolean {
    const committed = this.#topic.partitions.every((log, p) => this.#database.progress.get(p)?.nextOffset === log.end)
    if (!committed || this.#database.outbox.length > 0) return false
    // Nothing waits before a worker notices that documents are missing.
    return !this.#hasLostDocuments || projectionDifferences(this.#database, this.#projected).length === 0
  }

  #remainingWork(): string {
    const positions = this.#topic.partitions.map(
      (log, p) => `${this.#database.progress.get(p)?.nextOffset} of ${log.end}`,
    )
    const lives = [...this.#workers.keys()].map(life => `${life.name} ${life.state}`)
    return `committed ${positions.join(', ')}; ${this.#database.outbox.length} entries to project; ${lives.join(', ')}`
  }

  /** Injects a fault now and then until `#quiet`; then resumes stopped workers and makes sure that one is alive. */
  #injectFaults(): void {
    const { random } = this.#world
    const alive = [...this.#workers.keys()].filter(life => life.state !== 'dead')
    if (this.#quiet) {
      for (const life of alive) life.resume()
      if (alive.length === 0) this.#startWorker()
      return
    }
    const victim = alive.length > 0 ? random.pick(alive) : undefined
    const draw = random.next()
    if (victim && draw < 0.25) this.#kill(victim)
    else if (victim && draw < 0.5) {
      victim.pause()
      this.#world.after(random.int(100, 9000), () => victim.resume())
      this.#statistics.zombies++
    } else if (alive.length < 4) this.#startWorker()
    this.#world.after(random.int(200, 4000), () => this.#injectFaults())
  }

  #kill(life: Life): void {
    if (this.#workers.get(life)!.gathered > 0) this.#statistics.killedUncommitted++
    life.kill()
  }

  #startWorker(): void {
    const life = new Life(this.#world, `worker-${this.#started++}`)
    const gauge = { gathered: 0 }
    this.#workers.set(life, gauge)
    const version = this.#versions[this.#rolledOut - 1]!
    const memory = this.#memoryStore(version)
    const shared = {
      clock: life.clock(),
      chance: this.#world.random,
      telemetry: countingTelemetry(this.#statistics, gauge),
    }
    const flow = new Flow({
      ...shared,
      compiled: version.compiled,
      source: this.#topic.source(life),
      membership: this.#group.membership(life),
      store: this.#store(life, memory, version),
      unpack: data => unpack(data, this.#world.random.int(1, 2000)),
      sha256: () => '',
      ...(this.#isCutting ? { partitionRows: CUTTING.partitionRows } : {}),
    })
    const fail = (error: Error) => {
      if (error instanceof Fatal && error.code === 'GenerationOutdated') {
        this.#statistics.outdated++
        life.kill()
        if (this.#quiet) this.#startWorker() // as a Deployment would; until then, #injectFaults does it
      } else this.#statistics.failures.push(`${life.name} failed: ${error.stack}`)
    }
    flow.run().catch(fail)
    const { signal } = new AbortController() // never aborted: the projector dies with its process
    const ports = { outbox: this.#outbox(life, memory), sink: this.#sink(life) }
    runProjector({ ...shared, ...ports, signal }).catch(fail)
  }

  #memoryStore({ compiled, pipeline, identity }: Version): MemoryStore {
    const { random } = this.#world
    return new MemoryStore({
      database: this.#database,
      compiled,
      pipelineJson: JSON.stringify(pipeline),
      specIdentity: identity,
      now: () => this.#world.now,
      newToken: () => String(random.next()),
    })
  }

  #outbox(life: Life, memory: MemoryStore): Outbox {
    return {
      ownership: () => memory.ownership(),
      take: limit => life.call(() => memory.take(limit)),
      confirm: (work, faults) => life.call(() => memory.confirm(work, faults), this.#quiet ? 0 : 0.05),
      pending: () => life.call(() => memory.pending()),
      rejected: () => life.call(() => memory.rejected()),
      sample: () => life.call(() => memory.sample()),
      beginCheck: everyMs => life.call(() => memory.beginCheck(everyMs)),
      rebuild: aggregations => life.call(() => memory.rebuild(aggregations)),
      rebuilds: () => life.call(() => memory.rebuilds()),
    }
  }

  /** A sink that is sometimes unavailable, and whose response is sometimes lost after it wrote the rows. */
  #sink(life: Life): Sink {
    const write: Sink['write'] = async rows => {
      if (!this.#quiet && this.#world.random.chance(0.1)) {
        this.#statistics.sinkFailures++
        throw new Retryable('the sink is unavailable')
      }
      return this.#projected.write(rows)
    }
    return {
      name: 'simulated',
      prepare: () => life.call(async () => {}),
      write: rows => life.call(() => write(rows), this.#quiet ? 0 : 0.05),
      missing: rows => life.call(() => this.#projected.missing(rows)),
      close: async () => {},
    }
  }

  #store(life: Life, memory: MemoryStore, version: Version): Store {
    const call = <T>(effect: () => Promise<T>) => life.call(effect, 0)
    return {
      open: topic => call(() => memory.open(topic)),
      claim: (partition, start) =>
        call(async () => {
          const claim = await memory.claim(partition, start)
          if (claim.restoreOffset < claim.nextOffset) this.#statistics.restored++
          if (claim.finishesRecord) this.#noteFinishing(claim, version)
          return claim
        }),
      positions: () => call(() => memory.positions()),
      commit: commit => life.call(() => this.#commit(memory, commit), this.#quiet ? 0 : 0.1),
      inspect: partitions => call(() => memory.inspect(partitions)),
      commitNothing: owned => call(() => memory.commitNothing(owned)),
      renewIdle: (owned, leaseMs) => call(() => memory.renewIdle(owned, leaseMs)),
      advance: () => call(() => memory.advance()),
      deadLetterBytes: () => call(() => memory.deadLetterBytes()),
      grantReaders: () => call(() => memory.grantReaders()),
      close: async () => {},
    }
  }

  #noteFinishing({ partition, nextOffset }: Claim, { knobs }: Version): void {
    this.#statistics.finished++
    const { intent } = this.#topic.partitions[partition]!.visible.find(({ offset }) => offset === nextOffset)!
    if (knobs.extra) return
    this.#cut.add(`extra|${partition}|${nextOffset}`)
    if ('time' in intent) this.#cut.add(`extra|${Math.floor(intent.time! / 10_000) * 10_000}|`)
  }

  async #commit(memory: MemoryStore, commit: Commit): Promise<void> {
    if (!this.#quiet && this.#world.random.chance(0.05)) throw new Retryable('the connection was refused')
    if (commit.aggregates.some(rows => rows.keys.some(column => column.includes(REJECTED_CATEGORY))))
      throw new Rejected('a constraint rejects the data')
    await memory.commit(commit)
    this.#statistics.commits++
    if (commit.partitions.some(({ nextLine }) => nextLine > 0)) this.#statistics.inside++
  }
}
