/**
 * The independent verifier: reads the topic and the tables with other libraries than the engine, recomputes every row by
 * docs/semantics.md in the simplest way, and reports whether the engine kept its contract.
 */
import { type Comparison, compareRows, linesColumn } from './compare.ts'
import { checkProgress } from './conservation.ts'
import type { KafkaAccess } from './credentials.ts'
import { type DelayFilter, Delays, readCommitLogs } from './delay.ts'
import { documents, type ElasticsearchAddress, ExpectedDocuments, isMarked } from './elasticsearch.ts'
import { readHistory, readRoundedEach, shortestLateness } from './history.ts'
import { type Journal, readJournal } from './journal.ts'
import { openTopic, type PartitionRange, type TopicLog } from './log.ts'
import { type History, Recomputation } from './recompute.ts'
import type { Cell } from './rows.ts'
import {
  type Aggregation,
  type Projection,
  readDocument,
  readSpec,
  type Spec,
  type WrittenDocument,
  withFormerDefaults,
  withRoundEach,
} from './spec.ts'
import { type AggregationRow, type PostgresAddress, type ProgressRow, Tables } from './tables.ts'
import { nothingCompared, sumLate, sumRows, type Verdict } from './verdict.ts'

export { renderVerdict, type Verdict } from './verdict.ts'

export interface VerifyOptions {
  /** The SalesPipeline document, as YAML. */
  specText: string
  /** Kafka's `host:port`, several joined by commas. */
  bootstrap: string
  /** TLS and authentication of Kafka; without it, there is neither. */
  kafka?: KafkaAccess
  /** Topic to read instead of the spec's. */
  topic?: string
  postgres: PostgresAddress
  /** Without it, projections are not compared. */
  elasticsearch?: ElasticsearchAddress
  /**
   * The pipeline is still running: a snapshot of its tables is compared with the topic up to the offsets in `progress`.
   * Elasticsearch has no such snapshot, so projections cannot be compared.
   */
  running?: boolean
  /** Folder of the load generator's journal; without it, the topic itself is not checked. */
  journalDir?: string
  /** Commit logs of the workers; without them, the delay is not measured. */
  commitLogs?: string[]
  delay?: DelayFilter
  onProgress?: (message: string) => void
}

/** Verifies a pipeline that has drained its topic, or is `running`. Rejects when a server, journal or table cannot be read. */
export async function verify(options: VerifyOptions): Promise<Verdict> {
  const document = readDocument(options.specText)
  const tables = await Tables.connect(options.postgres, readSpec(document))
  try {
    const roundedEach = await readRoundedEach(tables)
    const newest = (await tables.specs()).at(-1)?.document as WrittenDocument | undefined
    const spec = readSpec(withFormerDefaults(withRoundEach(document, roundedEach), newest))
    return await new Verification(options, spec, roundedEach, tables).run()
  } finally {
    await tables.close()
  }
}

class Verification {
  private readonly options: VerifyOptions
  private readonly spec: Spec
  private readonly roundedEach: Set<string>
  private readonly tables: Tables
  private readonly problems: string[] = []
  /** Without a prototype: a table may have the name of a method, such as constructor. */
  private readonly perTable: Record<string, Comparison> = Object.create(null)
  private finalWindows = 0
  /** Owner of the documents in Elasticsearch. */
  private owner = ''

  constructor(options: VerifyOptions, spec: Spec, roundedEach: Set<string>, tables: Tables) {
    this.options = options
    this.spec = spec
    this.roundedEach = roundedEach
    this.tables = tables
  }

  async run(): Promise<Verdict> {
    const { journalDir, commitLogs, delay = {}, running = false } = this.options
    if (running) await this.tables.beginSnapshot()
    const history = await readHistory(this.tables, this.spec, this.roundedEach, this.problems)
    const recomputation = new Recomputation(this.spec, history)
    const journal = journalDir === undefined ? null : await readJournal(journalDir)
    const progress = new Map((await this.tables.progress()).map(row => [row.partition, row]))
    const nextOffsets = new Map([...progress.values()].map(row => [row.partition, row.nextOffset ?? 0]))
    const delays = commitLogs ? new Delays(await readCommitLogs(commitLogs), nextOffsets, delay) : null
    const log = await openTopic(
      this.options.bootstrap,
      this.options.topic ?? this.spec.topic,
      running ? readUpTo(progress.values()) : null,
      this.options.kafka,
    )
    await this.readLog(log, recomputation, journal, delays, progress)
    if (!running) await this.tables.beginSnapshot()
    const committed = ({ partition, end }: PartitionRange) => Math.min(end, nextOffsets.get(partition) ?? 0)
    const ranges = running ? log.ranges.map(range => ({ ...range, end: committed(range) })) : log.ranges
    this.problems.push(...(await checkProgress(this.tables, ranges, recomputation, history)))
    await this.compareTables(recomputation, history)
    return this.verdict(recomputation, journal, delays)
  }

  private async readLog(
    log: TopicLog,
    recomputation: Recomputation,
    journal: Journal | null,
    delays: Delays | null,
    progress: Map<number, ProgressRow>,
  ): Promise<void> {
    for (const { partition, low } of log.ranges) {
      const first = progress.get(partition)?.firstOffset ?? 0
      if (first < low)
        this.problems.push(
          `partition ${partition}: cannot be verified: the pipeline began at offset ${first}, but the topic now begins at offset ${low}, so retention removed records that the verifier needs`,
        )
    }
    let count = 0
    await log.read(record => {
      if (++count % 100_000 === 0) this.options.onProgress?.(`${count} records read`)
      journal?.checkOff(record.partition, record.offset, record.key, record.value)
      const row = progress.get(record.partition)
      if (record.offset < (row?.firstOffset ?? 0)) return
      if (this.options.running && row && record.offset === row.nextOffset) {
        recomputation.addLines(record, row.countedLines)
        return
      }
      recomputation.add(record)
      if (record.madeAt !== null) delays?.add(record.partition, record.offset, record.madeAt)
    })
  }

  private async compareTables(recomputation: Recomputation, history: History): Promise<void> {
    const { watermark, owner, ownerId, topic } = await this.tables.pipeline()
    this.owner = `${owner}/${ownerId}`
    if (topic !== this.spec.topic)
      this.problems.push(
        `the tables were filled from topic ${topic}, not ${this.spec.topic}; pass the file that the workers use, or correct spec.source.topic`,
      )
    for (const aggregation of this.spec.rules.aggregations) {
      const lateness = shortestLateness(history, aggregation.name)
      await this.compareAggregation(aggregation, recomputation, watermark ?? Number.NEGATIVE_INFINITY, lateness)
    }
    await this.compareEvents(recomputation, watermark ?? Number.NEGATIVE_INFINITY)
    const redriven = await this.tables.redriven()
    if (redriven > 0)
      this.problems.push(
        `${redriven} dead letters were sent to the pipeline again; the verifier cannot check their results`,
      )
  }

  private async compareAggregation(
    aggregation: Aggregation,
    recomputation: Recomputation,
    watermark: number,
    lateness: number,
  ): Promise<void> {
    const table = recomputation.aggregationTable(aggregation)
    const projections = this.options.elasticsearch
      ? this.spec.projections.filter(projection => projection.aggregation === aggregation.name)
      : []
    const expected = projections.map(projection => new ExpectedDocuments(aggregation, projection, this.owner))
    const rows = this.tables.aggregationRows(aggregation, this.spec.rules)
    const closed = (end: Cell, after: number) => typeof end === 'number' && end + after <= watermark
    const observed = this.observe(rows, aggregation.name, expected, {
      mayBeFinal: end => closed(end, lateness),
      isPartial: recomputation.partialWindows(aggregation),
    })
    this.perTable[aggregation.name] = await compareRows(table, observed, {
      linesAt: linesColumn(aggregation, table.values),
      // Only final rows are removed.
      mayBeAbsent: (_, [end]) =>
        aggregation.retention !== null && closed(end!, Math.max(aggregation.retention, lateness)),
    })
    for (const [index, projection] of projections.entries()) {
      await this.compareDocuments(aggregation, projection, expected[index]!)
    }
  }

  /** Yields the rows, checks their marks, counts the final ones and records their expected documents. */
  private async *observe(
    rows: AsyncIterable<AggregationRow>,
    name: string,
    expected: ExpectedDocuments[],
    { mayBeFinal, isPartial }: { mayBeFinal: (end: Cell) => boolean; isPartial: (start: number) => boolean },
  ): AsyncGenerator<AggregationRow> {
    let early = 0
    let mismarked = 0
    for await (const row of rows) {
      for (const documents of expected) documents.add(row)
      const start = JSON.parse(row.key)[0] as Cell
      if (row.partial !== isPartial(typeof start === 'number' ? start : Number.NEGATIVE_INFINITY)) mismarked++
      if (row.final) {
        this.finalWindows++
        if (!mayBeFinal(JSON.parse(row.values)[0])) early++
      }
      yield row
    }
    if (mismarked > 0)
      this.problems.push(
        `${name}: the mark for partial windows is wrong in ${mismarked} rows. This is a bug; report it with this output`,
      )
    if (early > 0)
      this.problems.push(
        `${name}: ${early} rows are marked final, but the pipeline watermark has not passed the end of their windows plus the allowed lateness. This is a bug; report it with this output`,
      )
  }

  private async compareDocuments(
    aggregation: Aggregation,
    projection: Projection,
    expected: ExpectedDocuments,
  ): Promise<void> {
    const address = this.options.elasticsearch!
    const { index, adopt } = projection
    const isOwn = await isMarked(address, index, this.owner)
    if (!isOwn && !adopt && !(await this.tables.inherited()).includes(index))
      this.problems.push(
        `index ${index} does not have the mark of ${this.owner}, but the spec does not adopt it; check which pipeline writes to it`,
      )
    const found = documents(address, projection, aggregation, this.spec.rules, isOwn ? () => true : expected.owned())
    this.perTable[expected.table.name] = await compareRows(expected.table, found)
    const { pending, rejected } = await this.tables.unprojected()
    if (pending > 0) this.problems.push(`${pending} rows are not yet written to Elasticsearch; wait and verify again`)
    if (rejected > 0) this.problems.push(`Elasticsearch rejected ${rejected} documents; see table projection_errors`)
  }

  /** Compares late events, dead letters and the raw table. */
  private async compareEvents(recomputation: Recomputation, watermark: number): Promise<void> {
    const { spec, tables } = this
    const past = (time: Cell, retention: number | null) => retention !== null && Number(time) + retention <= watermark
    this.perTable.late_events = await compareRows(recomputation.lateTable(), tables.lateRows(), {
      mayBeAbsent: (_, [eventTime]) => past(eventTime!, spec.lateRetention),
    })
    const full = recomputation.deadBytes > spec.deadLetters.maxBytes
    this.perTable.dead_letters = await compareRows(recomputation.deadTable(), tables.deadRows(), {
      // Dead letters have no event time to apply retention to; the counters in progress still check their number.
      mayBeAbsent: () => spec.deadLetters.retention !== null,
      // Above deadLetters.maxBytes, dead letters are stored without payload.
      equivalent: ([reason, field], found) => full && reason === found[0] && field === found[1] && found[3] === null,
    })
    const raw = recomputation.rawTable()
    if (!raw) return
    this.perTable[raw.name] = await compareRows(raw, tables.rawRows(raw.name, spec.rules), {
      mayBeAbsent: (_, [eventTime]) => past(eventTime!, spec.raw!.retention),
    })
  }

  private verdict(recomputation: Recomputation, journal: Journal | null, delays: Delays | null): Verdict {
    const states = [...recomputation.partitions.values()]
    const sum = (name: 'records' | 'accepted' | 'late' | 'dead' | 'duplicate') =>
      states.reduce((total, state) => total + state[name], 0)
    const aggregations = this.spec.rules.aggregations.map(({ name }) => this.perTable[name]!)
    const lostFromLog = journal ? journal.lostFromLog() : null
    const foreign = journal ? journal.foreign : null
    const lost = Math.max(...aggregations.map(({ lost }) => lost)) + (lostFromLog ?? 0)
    const doubled = Math.max(...aggregations.map(({ doubled }) => doubled))
    const rows = sumRows(Object.values(this.perTable))
    const problems = [...this.problems, ...(journal?.examples ?? []), ...nothingCompared(rows, this.spec.topic)]
    const differences = rows.missing + rows.extra + rows.unequal + lost + doubled + (foreign ?? 0)
    return {
      ok: differences === 0 && problems.length === 0,
      sent: journal ? journal.sent : null,
      acknowledged: journal ? journal.acknowledged : null,
      records: sum('records'),
      aggregated: sum('accepted') - sum('late'),
      late: sum('late'),
      latePerAggregation: sumLate(states, this.spec.rules.aggregations),
      deadLettered: sum('dead'),
      duplicates: sum('duplicate'),
      storeRejected: recomputation.storeRejected,
      lostFromLog,
      foreign,
      lost,
      doubled,
      rows,
      perTable: this.perTable,
      finalWindows: this.finalWindows,
      delayMs: delays ? delays.report() : null,
      problems,
    }
  }
}

/** Returns the offset before which to read each partition: a record of which some lines are counted belongs to it. */
function readUpTo(rows: Iterable<ProgressRow>): Map<number, number> {
  return new Map(
    [...rows].map(({ partition, nextOffset, countedLines }) => [
      partition,
      (nextOffset ?? 0) + (countedLines > 0 ? 1 : 0),
    ]),
  )
}
