/** Reads from PostgreSQL how far a pipeline is, and its newest windows. */
import pg from 'pg'
import { SchemaPlace } from '#common/schema-place.ts'
import type { PostgresConnection } from '#common/store-connections.ts'
import { compileSpec } from '#pipeline/compiled-spec.ts'
import { schemaNames } from '#pipeline/identity.ts'
import type { Aggregation, SalesPipeline } from '#pipeline/schema.ts'

export type PipelineProgress = {
  /** Partition → first offset that is not committed; null if the partition was never claimed. */
  next: Map<number, number | null>
  records: number
  dead: number
  duplicate: number
  /** Aggregation → events that are late for it. */
  late: Record<string, number>
  /** ms since the epoch. */
  watermark: number | null
  /** Rows in the outbox. */
  toProject: number
}

/** The newest rows of one aggregation's table, as text. */
export type WindowTable = { name: string; columns: string[]; rows: string[][] }

const TIMEOUT_MS = 5000

export class Results {
  readonly #pool: pg.Pool
  readonly #place: SchemaPlace
  readonly #pipeline: SalesPipeline

  constructor(connection: PostgresConnection, pipeline: SalesPipeline) {
    this.#pool = new pg.Pool({
      ...connection,
      max: 2,
      application_name: 'npm start',
      connectionTimeoutMillis: TIMEOUT_MS,
      query_timeout: TIMEOUT_MS,
    })
    this.#pool.on('error', () => {}) // the next query reconnects, or rejects with the reason
    this.#place = new SchemaPlace(schemaNames(pipeline))
    this.#pipeline = pipeline
  }

  /** Name of the pipeline's schema; the one that a new schema gets until `progress` has located it. */
  get schema(): string {
    return this.#place.name
  }

  get #schema(): string {
    return pg.escapeIdentifier(this.schema)
  }

  /** Rejects while PostgreSQL does not respond or the workers have not created the tables yet. */
  async progress(): Promise<PipelineProgress> {
    await this.#place.locate(text => this.#pool.query(text))
    const progress = await this.#pool.query<{ partition: number; next: string | null }>(
      `SELECT partition, next_offset AS next FROM ${this.#schema}.progress`,
    )
    // The outbox is read after the progress: the other order would miss what a commit adds in between.
    const totals = await this.#pool.query<
      Record<'records' | 'dead' | 'duplicate' | 'waiting', string> & {
        late: Record<string, number> | null
        watermark: string | null
      }
    >(
      `SELECT sum(records) AS records, sum(dead) AS dead, sum(duplicate) AS duplicate,
           (SELECT json_object_agg(aggregation, late ORDER BY aggregation)
              FROM (SELECT aggregation, sum(late) AS late FROM ${this.#schema}.progress_aggregations GROUP BY aggregation) AS each) AS late,
           (SELECT count(*) FROM ${this.#schema}.outbox) AS waiting,
           (SELECT watermark FROM ${this.#schema}.pipeline) AS watermark
         FROM ${this.#schema}.progress`,
    )
    const { records, dead, duplicate, late, waiting, watermark } = totals.rows[0]!
    return {
      next: new Map(progress.rows.map(row => [row.partition, row.next === null ? null : Number(row.next)])),
      records: Number(records),
      dead: Number(dead),
      duplicate: Number(duplicate),
      late: late ?? {},
      watermark: watermark === null ? null : Number(watermark),
      toProject: Number(waiting),
    }
  }

  /** The newest rows of the first `tables` aggregations, newest window first. Rejects as progress() does. */
  async newest(tables: number, rows: number): Promise<WindowTable[]> {
    const compiled = compileSpec(this.#pipeline.spec)
    const shown = this.#pipeline.spec.aggregations.slice(0, tables)
    return Promise.all(
      shown.map((aggregation, i) => this.#newestOf(aggregation, compiled.aggregations[i]!.window === null, rows)),
    )
  }

  async #newestOf({ name, groupBy, measures }: Aggregation, allTime: boolean, limit: number): Promise<WindowTable> {
    const columns = [...groupBy, ...measures.map(measure => measure.name), 'final']
    const window = allTime ? `'all time'` : `to_char(window_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')`
    const texts = columns.map(column => `coalesce(${pg.escapeIdentifier(column)}::text, '')`)
    const order = ['window_start DESC', ...groupBy.map(column => pg.escapeIdentifier(column))]
    const { rows } = await this.#pool.query<string[]>({
      text: `SELECT ${[window, ...texts].join(', ')} FROM ${this.#schema}.${pg.escapeIdentifier(name)} ORDER BY ${order.join(', ')} LIMIT $1`,
      values: [limit],
      rowMode: 'array',
    })
    return { name, columns: ['window', ...columns], rows }
  }

  async close(): Promise<void> {
    await this.#pool.end()
  }
}
