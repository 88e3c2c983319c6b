/**
 * Notices that the sink has lost documents, for example because somebody deleted its index, and has all rows of the
 * projection written again (contract, section 4). Only a few rows are compared, because a comparison of all rows would
 * load both servers. Also shows rebuilds that have begun in other ways.
 */
import { Retryable } from './errors.ts'
import type { Chance, Clock, Outbox, ProjectedRow, Rebuild, Sink, Telemetry } from './ports.ts'
import { unlessAborted } from './retrying.ts'

/** Least interval between two checks of all workers together, ms. */
const CHECK_EVERY_MS = 20_000
/** Jitter, so that workers do not ask at the same time. */
const CHECK_JITTER_MS = 20_000
/** While more rows wait, there is no check: these rows are more urgent, and would have to be left out of the sample. */
const MAX_PENDING_ROWS = 10_000

export type RebuildsDeps = {
  outbox: Outbox
  sink: Sink
  clock: Clock
  chance: Chance
  telemetry: Telemetry
  signal: AbortSignal
}

export class Rebuilds {
  readonly #deps: RebuildsDeps
  #nextCheckAt = 0
  /** Indices that are being rebuilt. */
  #rebuilding = new Set<string>()

  constructor(deps: RebuildsDeps) {
    this.#deps = deps
  }

  /** `pending`: number of rows that wait. Resolves with whether a rebuild has begun: the index may not exist any more. */
  async run(pending: number): Promise<boolean> {
    const { clock, chance } = this.#deps
    if (clock.now() >= this.#nextCheckAt && pending <= MAX_PENDING_ROWS) {
      this.#nextCheckAt = clock.now() + CHECK_EVERY_MS + chance.next() * CHECK_JITTER_MS
      await this.#check()
    }
    return this.#report()
  }

  async #check(): Promise<void> {
    const { outbox, telemetry } = this.#deps
    if (!(await outbox.beginCheck(CHECK_EVERY_MS))) return
    const lost = await this.#lost()
    if (lost.length === 0) return
    telemetry.log('warn', 'the sink has lost documents; writing all rows of their projections again', {
      missing: lost.length,
      examples: lost.slice(0, 3).map(({ id }) => id),
    })
    await outbox.rebuild([...new Set(lost.map(({ aggregation }) => aggregation))])
  }

  /** Compares twice, because a row can be changed or removed between the two answers of one comparison. */
  async #lost(): Promise<ProjectedRow[]> {
    const { outbox } = this.#deps
    const missing = await this.#missing(await outbox.sample())
    if (missing.length === 0) return []
    const expected = new Map((await outbox.sample()).map(row => [row.id, row.version]))
    return missing.filter(({ id, version }) => expected.get(id) === version)
  }

  /** Without an answer, nothing counts as missing: a check that fails must not keep rows from being written. */
  async #missing(sample: ProjectedRow[]): Promise<ProjectedRow[]> {
    const { sink, signal, telemetry } = this.#deps
    if (sample.length === 0) return []
    try {
      return (await unlessAborted(signal, () => sink.missing(sample))) ?? []
    } catch (error) {
      if (!(error instanceof Retryable)) throw error
      telemetry.log('warn', 'cannot check whether the sink has lost documents', { error: error.message })
      return []
    }
  }

  async #report(): Promise<boolean> {
    const { outbox, telemetry } = this.#deps
    const rebuilds = await outbox.rebuilds()
    telemetry.condition('ProjectionRebuilding', rebuilds.length > 0 ? describe(rebuilds) : null)
    const before = this.#rebuilding
    this.#rebuilding = new Set(rebuilds.map(({ index }) => index))
    return rebuilds.some(({ index }) => !before.has(index))
  }
}

function describe(rebuilds: Rebuild[]): string {
  const progress = rebuilds.map(({ index, rows, written }) => `${index} (${written} of ${rows} rows written)`)
  return `writing all rows to Elasticsearch again: ${progress.join(', ')}`
}
