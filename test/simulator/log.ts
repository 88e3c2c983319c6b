/** A topic whose records appear as virtual time goes by, transactions and gaps included. */
import type { Fetched, Source } from '#processor/ports.ts'
import { encodeBatch, type TestBatch } from '#test/support/record-batch.ts'
import type { Life, World } from './world.ts'

/** What a record means to the oracle, kept beside its bytes so that the oracle never parses. */
export type Intent = { dead: string } | { id: string; time: number; category: string; cents: number }

export type Visible = { offset: number; intent: Intent }

type Laid = { base: number; end: number; appearsAt: number; bytes: Buffer }

/** How long a fetch with nothing to send is held, ms. */
const MAX_WAIT_MS = 250

export class PartitionLog {
  readonly #laid: Laid[] = []
  readonly aborted: { producerId: bigint; firstOffset: number; lastOffset: number }[] = []
  /** What a read-committed reader must see in the end. */
  readonly visible: Visible[] = []
  end = 0

  /** Appends one batch of values; `transaction`: decided by a marker right behind it. `gap`: offsets left empty. */
  append(
    appearsAt: number,
    sales: { intent: Intent; value: Buffer | null }[],
    options: { transaction?: 'commit' | 'abort'; gap?: number } = {},
  ): void {
    const { transaction, gap = 0 } = options
    const producerId = BigInt(1 + (this.#laid.length % 3))
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
    this.#laid.push({ base, end: this.end, appearsAt, bytes: Buffer.concat(bytes) })
  }

  highWatermark(now: number): number {
    return this.#laid.findLast(batch => batch.appearsAt <= now)?.end ?? 0
  }

  fetch(offset: number, now: number, maxBatches: number) {
    const ready = this.#laid.filter(batch => batch.appearsAt <= now && batch.end > offset).slice(0, maxBatches)
    const upTo = ready.at(-1)?.end ?? offset
    const aborted = this.aborted
      .filter(t => t.lastOffset >= offset && t.firstOffset < upTo)
      .map(({ producerId, firstOffset }) => ({ producerId, firstOffset }))
    return { data: ready.length > 0 ? Buffer.concat(ready.map(batch => batch.bytes)) : null, aborted }
  }
}

export class Topic {
  /** Those to come included. */
  readonly partitions: PartitionLog[]
  /** How many partitions it has by now. */
  known: number
  readonly #world: World

  constructor(world: World, partitions: number, toCome: number) {
    this.#world = world
    this.partitions = Array.from({ length: partitions + toCome }, () => new PartitionLog())
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
      poll: requests => {
        // Whoever still looks at the bytes of the answer before the last one must notice (ports.ts).
        for (const { data } of handedOut.splice(0, handedOut.length - 1).flat()) data?.fill(0)
        return life.call(async () => {
          const answers = requests.map(({ partition, offset }): Fetched => {
            const highWatermark = at(partition).highWatermark(this.#world.now)
            const { data, aborted } = at(partition).fetch(offset, this.#world.now, this.#world.random.int(1, 4))
            return {
              partition,
              offset,
              highWatermark,
              lastStableOffset: highWatermark,
              logStartOffset: 0,
              data,
              aborted,
              outOfRange: false,
            }
          })
          if (answers.every(a => a.data === null))
            await new Promise<void>(resolve => this.#world.after(MAX_WAIT_MS, resolve))
          handedOut.push(answers)
          return answers
        })
      },
      close: async () => {},
    }
  }
}
