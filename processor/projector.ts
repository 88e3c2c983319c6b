/**
 * Projects committed rows to a sink (contract, section 4): take → write → confirm, in a loop. Nothing is confirmed
 * before the sink has answered, so a row that changes meanwhile, or a crash, only leads to another round.
 */
import type { Chance, Clock, Outbox, ProjectedRow, ProjectionFault, Sink, Telemetry } from './ports.ts'
import { Rebuilds } from './rebuilds.ts'
import { retrying, unlessAborted } from './retrying.ts'

/** Rows of one round: a few MB of documents, a fraction of a second for a healthy sink. */
const BATCH_ROWS = 5000
/** Pause while no rows are pending, ms; jittered so that workers do not query PostgreSQL at the same time. */
const IDLE_MS = 100
const IDLE_JITTER_MS = 150
/** Interval between counts of the pending rows, ms. Each is a query, and a gauge does not need more. */
const REPORT_EVERY_MS = 1000

export type ProjectorDeps = {
  outbox: Outbox
  sink: Sink
  clock: Clock
  chance: Chance
  telemetry: Telemetry
  signal: AbortSignal
}

/** Projects until the signal aborts; a hanging sink does not delay the end. Throws errors that are not Retryable. */
export async function runProjector(deps: ProjectorDeps): Promise<void> {
  const projector = new Projector(deps)
  while (!deps.signal.aborted) await projector.turn()
}

/** Projects for at most `withinMs`. Resolves with whether no row is pending. Throws errors that are not Retryable. */
export async function drain(deps: ProjectorDeps, withinMs: number): Promise<boolean> {
  const done = new AbortController()
  const signal = AbortSignal.any([deps.signal, done.signal])
  void deps.clock.sleep(withinMs, signal).then(() => done.abort())
  const limited = { ...deps, signal }
  const projector = new Projector(limited)
  try {
    for (;;) {
      const pending = await retrying(limited, 'ProjectionBehind', () => deps.outbox.pending())
      if (pending === 0 || pending === null) return pending === 0
      await projector.turn()
    }
  } finally {
    done.abort()
  }
}

class Projector {
  readonly #deps: ProjectorDeps
  readonly #rebuilds: Rebuilds
  #prepared = false
  #nextReportAt = 0

  constructor(deps: ProjectorDeps) {
    this.#deps = deps
    this.#rebuilds = new Rebuilds(deps)
  }

  /** Repeats a round until it succeeds, and pauses after an idle one. */
  async turn(): Promise<void> {
    const { clock, chance, signal } = this.#deps
    const worked = await retrying(this.#deps, 'ProjectionBehind', () => this.#round())
    if (worked === false) await clock.sleep(IDLE_MS + chance.next() * IDLE_JITTER_MS, signal)
  }

  /** Resolves with false when there was nothing to do, or when the signal aborted first. */
  async #round(): Promise<boolean> {
    const { outbox, clock, telemetry, signal } = this.#deps
    const pending = await this.#report()
    await this.#prepare()
    if (signal.aborted || !this.#prepared) return false
    if (pending !== null && (await this.#rebuilds.run(pending))) {
      this.#prepared = false // the index may be missing, or somebody else may have created it
      return true
    }
    const startedAt = clock.now()
    const work = await outbox.take(BATCH_ROWS)
    const faults = work && (await this.#write(work.rows))
    if (!work || !faults) return false
    await outbox.confirm(work, faults)
    telemetry.projected(work, faults.length, { startedAt, endedAt: clock.now() })
    if (faults.length > 0) await this.#reportRejected()
    return true
  }

  async #prepare(): Promise<void> {
    const { outbox, sink, telemetry, signal } = this.#deps
    const ownership = outbox.ownership()
    if (this.#prepared || !ownership) return
    const done = await unlessAborted(signal, () => sink.prepare(ownership).then(() => true))
    this.#prepared = done === true
    if (this.#prepared) telemetry.sinkAccepted(sink.name)
  }

  /** Resolves with null when the signal aborted first: the rows may be written or not, and nothing is confirmed. */
  async #write(rows: ProjectedRow[]): Promise<ProjectionFault[] | null> {
    this.#prepared = false // until the sink answers: after a failure it may come back without its templates
    const faults = await unlessAborted(this.#deps.signal, () => this.#deps.sink.write(rows))
    this.#prepared = faults !== null
    return faults
  }

  /** Resolves with the number of pending rows; null between two counts. */
  async #report(): Promise<number | null> {
    const { outbox, clock, telemetry } = this.#deps
    if (clock.now() < this.#nextReportAt) return null
    this.#nextReportAt = clock.now() + REPORT_EVERY_MS
    const pending = await outbox.pending()
    telemetry.projectionPending(pending)
    await this.#reportRejected()
    return pending
  }

  async #reportRejected(): Promise<void> {
    const { outbox, telemetry } = this.#deps
    const rejected = await outbox.rejected()
    const message = `the sink rejected ${rejected} rows; table projection_errors lists the errors`
    telemetry.condition('ProjectionRejected', rejected > 0 ? message : null)
  }
}
