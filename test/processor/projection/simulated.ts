/** A test environment for the projector: a fake clock, an outbox over a table, a sink with faults, recorded telemetry. */
import { MemorySink } from '#processor/adapters/memory/sink.ts'
import { Retryable } from '#processor/errors.ts'
import type {
  Chance,
  Clock,
  Outbox,
  Ownership,
  ProjectedRow,
  ProjectionFault,
  ProjectionWork,
  Rebuild,
  Sink,
  Telemetry,
} from '#processor/ports.ts'
import { type ProjectorDeps, runProjector } from '#processor/projector.ts'

/** Virtual time, which jumps to the next due timer as soon as nothing else can happen. */
export class FakeClock implements Clock {
  ms = 1_000_000
  /** All pauses that the projector requested, ms. */
  readonly slept: number[] = []
  /** Called at the end of each pause, with its duration. */
  onSleep: (ms: number) => void = () => {}
  #due: { at: number; run: () => void }[] = []
  #running = false

  now(): number {
    return this.ms
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return
    this.slept.push(ms)
    const aborted = new Promise<void>(resolve => signal?.addEventListener('abort', () => resolve(), { once: true }))
    await Promise.race([aborted, this.after(ms).then(() => !signal?.aborted && this.onSleep(ms))])
  }

  after(ms: number): Promise<void> {
    return new Promise(resolve => {
      this.#due.push({ at: this.ms + ms, run: resolve })
      void this.#run()
    })
  }

  async #run(): Promise<void> {
    if (this.#running) return
    this.#running = true
    for (;;) {
      await new Promise(resolve => setImmediate(resolve)) // lets all ready promise callbacks run
      const next = this.#due.sort((a, b) => b.at - a.at).pop()
      if (!next) break
      this.ms = next.at
      next.run()
    }
    this.#running = false
  }
}

/** An outbox of rows that `commit` writes. */
export class FakeOutbox implements Outbox {
  readonly table = new Map<string, ProjectedRow>()
  readonly waiting = new Map<bigint, string>()
  readonly faults: ProjectionFault[] = []
  /** The events of the test, in order. */
  readonly #log: string[]
  #seq = 0n
  #rebuilding = 0
  failures = 0
  /** Whether this worker is the one that checks the sink. */
  checks = true
  /** Null until the store is open. */
  owned: Ownership | null = { owner: 'default/projected/1234', inherited: [] }

  constructor(log: string[]) {
    this.#log = log
  }

  ownership(): Ownership | null {
    return this.owned
  }

  commit(row: ProjectedRow): void {
    this.table.set(row.id, row)
    this.waiting.set(this.#seq++, row.id)
  }

  async take(limit: number): Promise<ProjectionWork | null> {
    this.#failIfScripted('take')
    const entries = [...this.waiting].slice(0, limit)
    if (entries.length === 0) return null
    const ids = new Set(entries.map(([, id]) => id))
    this.#log.push('taken')
    return { entries: entries.map(([seq]) => seq), rows: [...ids].map(id => this.table.get(id)!), traces: [] }
  }

  async confirm(work: ProjectionWork, faults: ProjectionFault[]): Promise<void> {
    this.#failIfScripted('confirm')
    this.#log.push('confirmed')
    for (const entry of work.entries) this.waiting.delete(entry)
    this.faults.push(...faults)
  }

  async pending(): Promise<number> {
    this.#failIfScripted('pending')
    return this.waiting.size
  }

  async rejected(): Promise<number> {
    return this.faults.length
  }

  async sample(): Promise<ProjectedRow[]> {
    this.#failIfScripted('sample')
    const waiting = new Set(this.waiting.values())
    return [...this.table.values()].filter(({ id, document }) => document && !waiting.has(id))
  }

  async beginCheck(): Promise<boolean> {
    return this.checks
  }

  async rebuild(): Promise<void> {
    this.#failIfScripted('rebuild')
    this.#log.push('rebuild')
    this.#rebuilding = this.table.size
    for (const row of [...this.table.values()]) this.commit({ ...row, version: row.version + 1n })
  }

  async rebuilds(): Promise<Rebuild[]> {
    if (this.waiting.size === 0) this.#rebuilding = 0
    const rows = this.#rebuilding
    return rows > 0 ? [{ index: 'projected', rows, written: Math.max(0, rows - this.waiting.size) }] : []
  }

  #failIfScripted(what: string): void {
    if (this.failures <= 0) return
    this.failures--
    throw new Retryable(`PostgreSQL: ${what} failed`, { condition: 'StoreUnavailable' })
  }
}

/** How long the sink takes to answer, ms. */
const ANSWER_MS = 20

/** The outcome of a call of the sink. `lost`: the call takes effect, but its answer does not arrive. */
export type Outcome = 'done' | 'refused' | 'lost' | 'hang'

type Call = 'prepare' | 'write' | 'missing'

export class FakeSink implements Sink {
  readonly name = 'simulated'
  readonly memory: MemorySink
  readonly script: Record<Call, Outcome[]> = { prepare: [], write: [], missing: [] }
  readonly counts: Record<Outcome, number> = { done: 0, refused: 0, lost: 0, hang: 0 }
  readonly #log: string[]
  readonly #clock: FakeClock
  /** Called during a write, before it takes effect. */
  onWrite: (rows: ProjectedRow[]) => void = () => {}

  constructor(log: string[], clock: FakeClock, rejects?: (row: ProjectedRow) => string | null) {
    this.#log = log
    this.#clock = clock
    this.memory = new MemorySink(rejects)
  }

  prepare(): Promise<void> {
    return this.#play('prepare', async () => {})
  }

  write(rows: ProjectedRow[]): Promise<ProjectionFault[]> {
    this.onWrite(rows)
    return this.#play('write', () => this.memory.write(rows))
  }

  missing(rows: ProjectedRow[]): Promise<ProjectedRow[]> {
    return this.#play('missing', () => this.memory.missing(rows))
  }

  async close(): Promise<void> {}

  async #play<T>(call: Call, effect: () => Promise<T>): Promise<T> {
    const outcome = this.script[call].shift() ?? 'done'
    this.counts[outcome]++
    this.#log.push(`${call}…`)
    await this.#clock.after(ANSWER_MS)
    if (outcome === 'hang') return new Promise(() => {})
    if (outcome === 'refused') throw new Retryable('the sink is down')
    const answer = await effect()
    if (outcome === 'lost') throw new Retryable('no answer arrived')
    this.#log.push(`${call} answered`)
    return answer
  }
}

/** Records the current conditions, their changes, and the reports that tests check. */
export class RecordedTelemetry {
  readonly conditions = new Map<string, string>()
  readonly changes: string[] = []
  readonly projected: { rows: number; faults: number; startedAt: number; endedAt: number }[] = []
  readonly pending: number[] = []
  readonly accepted = new Set<string>()

  telemetry(): Telemetry {
    const nothing = () => {}
    return {
      fetched: nothing,
      committed: nothing,
      commitFailed: nothing,
      rebalanced: nothing,
      position: nothing,
      released: nothing,
      pipelineClock: nothing,
      busy: nothing,
      log: nothing,
      committable: nothing,
      sinkAccepted: sink => this.accepted.add(sink),
      projected: ({ rows }, faults, info) => this.projected.push({ rows: rows.length, faults, ...info }),
      projectionPending: rows => this.pending.push(rows),
      condition: (code, message) => {
        this.changes.push(message === null ? `${code} cleared` : `${code} raised`)
        if (message === null) this.conditions.delete(code)
        else this.conditions.set(code, message)
      },
    }
  }
}

export type ProjectorEnvironment = ReturnType<typeof projectorEnvironment>

export function projectorEnvironment(
  options: { rejects?: (row: ProjectedRow) => string | null; chance?: Chance } = {},
) {
  const log: string[] = []
  const stop = new AbortController()
  const clock = new FakeClock()
  const outbox = new FakeOutbox(log)
  const sink = new FakeSink(log, clock, options.rejects)
  const recorded = new RecordedTelemetry()
  const deps: ProjectorDeps = {
    outbox,
    sink,
    clock,
    chance: options.chance ?? { next: () => 0.5 },
    telemetry: recorded.telemetry(),
    signal: stop.signal,
  }
  return { log, stop, clock, outbox, sink, recorded, deps }
}

/** Runs until the projector has slept `times` times; it sleeps after each failure and when no row waits. */
export async function runFor(env: ProjectorEnvironment, times: number): Promise<void> {
  const { clock, stop } = env
  const before = clock.slept.length
  const onSleep = clock.onSleep
  clock.onSleep = ms => {
    onSleep(ms)
    if (clock.slept.length - before >= times) stop.abort()
  }
  await runProjector(env.deps)
}
