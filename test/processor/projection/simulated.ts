/** The projector's surroundings under a fake clock: an outbox over a table, a sink with faults, telemetry that remembers. */
import { MemorySink } from '#processor/adapters/memory/sink.ts'
import { Retryable } from '#processor/errors.ts'
import type {
  Chance,
  Clock,
  Outbox,
  ProjectedRow,
  ProjectionFault,
  ProjectionWork,
  Sink,
  Telemetry,
} from '#processor/ports.ts'
import type { ProjectorDeps } from '#processor/projector.ts'

/** Virtual time: it jumps to whatever is due next as soon as nothing else can happen. */
export class FakeClock implements Clock {
  ms = 1_000_000
  /** The pauses that the projector asked for. */
  readonly slept: number[] = []
  /** Called at the end of each of them, with what it lasted. */
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
      await new Promise(resolve => setImmediate(resolve)) // all promise callbacks that were ready have run
      const next = this.#due.sort((a, b) => b.at - a.at).pop()
      if (!next) break
      this.ms = next.at
      next.run()
    }
    this.#running = false
  }
}

/** Rows that were committed and what waits to be shown, as the commit's bookkeeping has it. */
export class FakeOutbox implements Outbox {
  readonly table = new Map<string, ProjectedRow>()
  readonly waiting = new Map<bigint, string>()
  readonly faults: ProjectionFault[] = []
  /** The journal of the test: who did what when. */
  readonly #log: string[]
  #seq = 0n
  failures = 0

  constructor(log: string[]) {
    this.#log = log
  }

  commit(row: ProjectedRow): void {
    this.table.set(row.id, row)
    this.waiting.set(this.#seq++, row.id)
  }

  async take(limit: number): Promise<ProjectionWork | null> {
    this.#mayFail('take')
    const entries = [...this.waiting].slice(0, limit)
    if (entries.length === 0) return null
    const ids = new Set(entries.map(([, id]) => id))
    this.#log.push('taken')
    return { entries: entries.map(([seq]) => seq), rows: [...ids].map(id => this.table.get(id)!), traces: [] }
  }

  async confirm(work: ProjectionWork, faults: ProjectionFault[]): Promise<void> {
    this.#mayFail('confirm')
    this.#log.push('confirmed')
    for (const entry of work.entries) this.waiting.delete(entry)
    this.faults.push(...faults)
  }

  async pending(): Promise<number> {
    this.#mayFail('pending')
    return this.waiting.size
  }

  async rejected(): Promise<number> {
    return this.faults.length
  }

  #mayFail(what: string): void {
    if (this.failures <= 0) return
    this.failures--
    throw new Retryable(`PostgreSQL: ${what} failed`)
  }
}

/** How long the sink takes to answer. */
const ANSWER_MS = 20

/** How a call of the sink ends. `lost`: it took effect, and the answer did not arrive. */
export type Fate = 'done' | 'refused' | 'lost' | 'hang'

export class FakeSink implements Sink {
  readonly memory: MemorySink
  readonly fates: { prepare: Fate[]; write: Fate[] } = { prepare: [], write: [] }
  readonly bites: Record<Fate, number> = { done: 0, refused: 0, lost: 0, hang: 0 }
  readonly #log: string[]
  readonly #clock: FakeClock
  /** Called while a write is under way, before it takes effect. */
  onWrite: (rows: ProjectedRow[]) => void = () => {}

  constructor(log: string[], clock: FakeClock, rejects?: (row: ProjectedRow) => string | null) {
    this.#log = log
    this.#clock = clock
    this.memory = new MemorySink(rejects)
  }

  prepare(): Promise<void> {
    return this.#meet('prepare', async () => {})
  }

  write(rows: ProjectedRow[]): Promise<ProjectionFault[]> {
    this.onWrite(rows)
    return this.#meet('write', () => this.memory.write(rows))
  }

  async close(): Promise<void> {}

  async #meet<T>(call: 'prepare' | 'write', effect: () => Promise<T>): Promise<T> {
    const fate = this.fates[call].shift() ?? 'done'
    this.bites[fate]++
    this.#log.push(`${call}…`)
    await this.#clock.after(ANSWER_MS)
    if (fate === 'hang') return new Promise(() => {})
    if (fate === 'refused') throw new Retryable('the sink is away')
    const answer = await effect()
    if (fate === 'lost') throw new Retryable('no answer came')
    this.#log.push(`${call} answered`)
    return answer
  }
}

/** Conditions as they stand, each change, and the reports that the tests look at. */
export class Remembered {
  readonly conditions = new Map<string, string>()
  readonly changes: string[] = []
  readonly projected: { rows: number; faults: number; startedAt: number; endedAt: number }[] = []
  readonly pending: number[] = []

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

export type Surroundings = ReturnType<typeof surroundings>

export function surroundings(options: { rejects?: (row: ProjectedRow) => string | null; chance?: Chance } = {}) {
  const log: string[] = []
  const stop = new AbortController()
  const clock = new FakeClock()
  const outbox = new FakeOutbox(log)
  const sink = new FakeSink(log, clock, options.rejects)
  const remembered = new Remembered()
  const deps: ProjectorDeps = {
    outbox,
    sink,
    clock,
    chance: options.chance ?? { next: () => 0.5 },
    telemetry: remembered.telemetry(),
    signal: stop.signal,
  }
  return { log, stop, clock, outbox, sink, remembered, deps }
}
