/** Reads results, and the reasons why they are missing, from the tables of docs/tables.md. */
import pg from 'pg'
import { SchemaPlace } from '#common/schema-place.ts'
import { postgresConnection } from '#common/store-connections.ts'
import { schemaNames } from '#pipeline/identity.ts'
import type { SalesPipeline } from '#pipeline/schema.ts'
import type { Position } from './ingest.ts'
import type { ExpectedRow } from './sale.ts'

/** The window, ±Infinity for a window over all time, and the columns as text. */
export type StoredRow = { window_start: Date | number; window_end: Date | number } & Record<string, unknown>

/** The state of the sale in the tables. `progress` is null until a worker claims the partition for the first time. */
export type SaleState = {
  hasSchema: boolean
  hasTable: boolean
  progress: { first: number; next: number } | null
  dead: { reason: string; field: string | null } | null
  /** Aggregations for which the sale was late in at least one window. */
  late: string[]
}

export type ProjectionState = {
  /** The index that the workers write to, or null. */
  index: string | null
  waiting: number
  error: string | null
}

const ANSWER_MS = 5000

export class Results {
  readonly #place: SchemaPlace
  readonly address: string
  readonly #pool: pg.Pool

  /** Does not connect yet. Uses a worker's settings. Throws a UserError that names the variable of a Secret missing in `env`. */
  constructor(pipeline: SalesPipeline, env: NodeJS.ProcessEnv) {
    const { host, port, database } = pipeline.spec.sinks.postgres
    this.#place = new SchemaPlace(schemaNames(pipeline))
    this.address = `${host}:${port}/${database}`
    this.#pool = new pg.Pool({
      ...postgresConnection(pipeline.spec, env),
      max: 1,
      application_name: 'sales check',
      connectionTimeoutMillis: ANSWER_MS,
      query_timeout: ANSWER_MS,
    })
    // A lost connection fails the next query; without a listener it would also end the process.
    this.#pool.on('error', () => {})
  }

  get schema(): string {
    return this.#place.name
  }

  /** Must end before the tables are read. Rejects while PostgreSQL does not respond. */
  async #locate(): Promise<void> {
    await this.#place.locate(text => this.#pool.query(text))
  }

  #table(name: string): string {
    return `${pg.escapeIdentifier(this.schema)}.${pg.escapeIdentifier(name)}`
  }

  /** Resolves with the rows of this sale. Rejects if the table does not exist. */
  async rows({ aggregation, groupBy, identifiedBy, columns }: ExpectedRow, name: string): Promise<StoredRow[]> {
    await this.#locate()
    const selected = [...new Set([...groupBy, ...Object.keys(columns)])].map(pg.escapeIdentifier)
    const texts = selected.map(column => `${column}::text AS ${column}`)
    const hasName = identifiedBy.map(column => `${pg.escapeIdentifier(column)} = $1`).join(' AND ')
    const { rows } = await this.#pool.query<StoredRow>(
      `SELECT window_start, window_end, ${texts.join(', ')} FROM ${this.#table(aggregation)}
       WHERE ${hasName} ORDER BY window_start`,
      [name],
    )
    return rows
  }

  async saleState(aggregation: string, position: Position): Promise<SaleState> {
    await this.#locate()
    const { rows } = await this.#pool.query<Pick<SaleState, 'hasSchema' | 'hasTable'> & { hasProgress: boolean }>(
      `SELECT to_regnamespace($1) IS NOT NULL AS "hasSchema", to_regclass($2) IS NOT NULL AS "hasTable",
         to_regclass($3) IS NOT NULL AS "hasProgress"`,
      [pg.escapeIdentifier(this.schema), this.#table(aggregation), this.#table('progress')],
    )
    const { hasSchema, hasTable, hasProgress } = rows[0]!
    const state = hasProgress ? await this.#stateAt(position) : { progress: null, dead: null, late: [] }
    return { hasSchema, hasTable, ...state }
  }

  async #stateAt({ partition, offset }: Position): Promise<Pick<SaleState, 'progress' | 'dead' | 'late'>> {
    const { rows } = await this.#pool.query<{ first: string; next: string; dead: SaleState['dead']; late: string[] }>(
      `SELECT p.first_offset AS first, p.next_offset AS next,
         (SELECT jsonb_build_object('reason', d.reason, 'field', d.field) FROM ${this.#table('dead_letters')} d
          WHERE d.topic_id = p.topic_id AND d.partition = p.partition AND d.record_offset = $2) AS dead,
         ARRAY(SELECT l.aggregation FROM ${this.#table('late_events')} l
          WHERE l.partition = p.partition AND l.record_offset = $2) AS late
       FROM ${this.#table('progress')} p WHERE p.partition = $1 AND p.next_offset IS NOT NULL`,
      [partition, offset],
    )
    const row = rows[0]
    if (!row) return { progress: null, dead: null, late: [] }
    return { progress: { first: Number(row.first), next: Number(row.next) }, dead: row.dead, late: row.late }
  }

  /** Resolves with the owner of the documents in Elasticsearch. Rejects if the table does not have it. */
  async owner(): Promise<string> {
    const { rows } = await this.#pool.query<{ owner: string }>(
      `SELECT owner || '/' || owner_id AS owner FROM ${this.#table('pipeline')}`,
    )
    return rows[0]!.owner
  }

  async projectionState(aggregation: string, id: string): Promise<ProjectionState> {
    const { rows } = await this.#pool.query<ProjectionState>(
      `SELECT (SELECT split_part(projection, '/', 1) FROM ${this.#table('aggregations')} WHERE name = $1) AS index,
         (SELECT count(*)::int FROM ${this.#table('outbox')} WHERE aggregation = $1) AS waiting,
         (SELECT error FROM ${this.#table('projection_errors')} WHERE aggregation = $1 AND id = $2
          ORDER BY version DESC LIMIT 1) AS error`,
      [aggregation, id],
    )
    return rows[0]!
  }

  close(): Promise<void> {
    return this.#pool.end()
  }
}
