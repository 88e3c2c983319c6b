/** A topic whose records appear over virtual time, with transactions and gaps. */
import type { Fetched, Source } from '#processor/ports.ts'
import { encodeBatch, type TestBatch } from '#test/support/record-batch.ts'
import type { Life, World } from './world.ts'

export type Sale = { id: string; time: number; store: string; lines: Line[] }

/** What a record means, kept beside its bytes so that the oracle never parses. */
export type Line = { category: string; cents: number }

/** What a record means. One that the store rejects also has lines: some may be counted before it is. */
export type Intent = { dead: string; time?: number; lines?: Line[] } | Sale

export type Visible = { offset: number; intent: Intent }

type AppendedBatch = { base: number; end: number; appearsAt: number; bytes: Buffer }

/** How long a fetch waits when there is no data, ms. */
const MAX_WAIT_MS = 250

export class PartitionLog {
  readonly #batches: AppendedBatch[] = []
  readonly aborted: { producerId: bigint; firstOffset: number; lastOffset: number }[] = []
  /** The records that a read-committed reader must see in the end. */
  readonly visible: Visible[] = []
  end = 0

  /** Appends one batch. `transaction`: a marker right after it ends its transaction. `gap`: number of offsets left empty. */
  append(
    appearsAt: number,
    sales: { intent: Intent; value: Buffer | null }[],
    options: { transaction?: 'commit' | 'abort'; gap?: number } = {},
  ): void {
    const { transaction, gap = 0 } = options
    const producerId = BigInt(1 + (this.#batches.length % 3))
    const base = this.end
    const records = sales.map(({ value }, delta) => ({ delta, timestamp: appearsAt, key: null, value }))
    const batch: TestBatch = { baseOffset: base, records, lastDelta: sales.length - 1 + gap }
    if (transaction) batch.transaction = { producerId }
    this.end += sales.length + gap
    const bytes = [encodeBatch(batch)]
    if (transaction) {
      bytes.push(encodeBatch({ baseOffset: this.end, records: [], transaction: { producerId, control: transaction } }))
      this.end++
    }
    if (transaction === 'abort') this.aborted.push({ producerId, firstOffset: base, lastOffset: this.end - 1 })
    else this.visible.push(...sales.map(({ intent }, delta) => ({ offset: base + delta, intent })))
    this.#batches.push({ base, end: this.end, appearsAt, bytes: Buffer.concat(bytes) })
  }

  highWatermark(now: number): number {
    return this.#batches.findLast(batch => batch.appearsAt <= now)?.end ?? 0
  }

  fetch(offset: number, now: number, maxBatches: number) {
    const ready = this.#batches.filter(batch => batch.appearsAt <= now && batch.end > offset).slice(0, maxBatches)
    const upTo = ready.at(-1)?.end ?? offset
    const aborted = this.aborted
      .filter(t => t.lastOffset >= offset && t.firstOffset < upTo)
      .map(({ producerId, firstOffset }) => ({ producerId, firstOffset }))
    return { data: ready.length > 0 ? Buffer.concat(ready.map(batch => batch.bytes)) : null, aborted }
  }
}

export class Topic {
  /** All partitions, including those that are added later. */
  readonly partitions: PartitionLog[]
  /** Current number of partitions. */
  known: number
  readonly #world: World

  constructor(world: World, partitions: number, addedLater: number) {
    this.#world = world
    this.partitions = Array.from({ length: partitions + addedLater }, () => new PartitionLog())
    this.known = partitions
  }

  source(life: Life): Source {
    const at = (partition: number) => this.partitions[partition]!
    const handedOut: Fetched[][] = []
    return {
      describe: () =>
        life.call(async () => ({ topic: 'sales', topicId: 'topic-1', partitions: this.known, maxAheadMs: 0 })),
      offsets: (partitions, when) =>
        life.call(
          async () => new Map(partitions.map(p => [p, when === 'latest' ? at(p).highWatermark(this.#world.now) : 0])),
        ),
      endOfEpoch: partition => life.call(async () => at(partition).highWatermark(this.#world.now)),
      openTransactions: () => life.call(async () => []),
      poll: requests => {
        // Only the last response stays valid (ports.ts): overwriting older ones exposes code that still reads them.
        for (const { data } of handedOut.splice(0, handedOut.length - 1).flat()) data?.fill(0)
        return life.call(async () => {
          const responses = requests.map(({ partition, offset }): Fetched => {
            const highWatermark = at(partition).highWatermark(this.#world.now)
            const { data, aborted } = at(partition).fetch(offset, this.#world.now, this.#world.random.int(1, 4))
            return {
              partition,
              offset,
              highWatermark,
              lastStableOffset: highWatermark,
              logStartOffset: 0,
              data,
              unsupported: null,
              aborted,
              outOfRange: false,
            }
          })
          if (responses.every(response => response.data === null))
            await new Promise<void>(resolve => this.#world.after(MAX_WAIT_MS, resolve))
          handedOut.push(responses)
          return responses
        })
      },
      close: async () => {},
    }
  }
}
