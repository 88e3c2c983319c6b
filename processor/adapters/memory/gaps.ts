/** Marks windows that may lack records (docs/semantics.md, section 5). */
import type { SalesPipeline } from '#pipeline/schema.ts'
import type { PartitionCommit } from '#processor/core/commit.ts'
import { isPartial, type MissingTimes, missingTimes } from '#processor/core/gaps.ts'
import type { MemoryStoreOptions } from './options.ts'

export class MemoryGaps {
  readonly #options: MemoryStoreOptions
  /** By partition: aggregation → how long after the partition's first event its records may be missing, ms. */
  readonly #awaiting = new Map<number, Map<string, number>>()

  constructor(options: MemoryStoreOptions) {
    this.#options = options
  }

  claimed(partition: number): void {
    const { specHistory, specs } = this.#options.database
    const stretches = specHistory
      .filter(entry => entry.partition === partition)
      .map(({ fromOffset, maxEventTime, generation }) => {
        const { document } = specs.find(stored => stored.generation === generation)!
        return { fromOffset, maxEventTime, isRecorded: true, spec: (JSON.parse(document) as SalesPipeline).spec }
      })
    const awaiting = new Map<string, number>()
    for (const { name } of this.#options.compiled.aggregations) {
      const missing = missingTimes(stretches, name)
      if (missing && 'awaits' in missing) awaiting.set(name, missing.awaits)
      else if (missing) this.#widen(name, missing)
    }
    this.#awaiting.set(partition, awaiting)
  }

  committed({ partition, firstEventTime }: PartitionCommit): void {
    if (firstEventTime === null) return
    for (const [name, waits] of this.#awaiting.get(partition) ?? [])
      this.#widen(name, { after: Number.NEGATIVE_INFINITY, until: firstEventTime + waits })
  }

  #widen(name: string, missing: MissingTimes): void {
    const { database, now } = this.#options
    database.aggregations.get(name)!.incomplete.push(missing)
    const marked = [...database.tables.get(name)!.values()].filter(
      row => !row.partial && isPartial(row.windowStart, row.windowEnd, [missing]),
    )
    for (const row of marked) {
      row.partial = true
      row.version = Math.max(row.version + 1, now() * 1000)
      row.updatedAt = now()
    }
    database.enqueue(name, marked, null, now())
  }
}
