/** Reads a pipeline's schema in PostgreSQL (docs/tables.md). */
import { Client } from 'pg'
import type { TlsSettings } from './http.ts'
import { fingerprint, type Rejection } from './recompute.ts'
import {
  aggregationColumns,
  type Cell,
  DEAD_COLUMNS,
  LATE_COLUMNS,
  markColumn,
  numberText,
  rawColumns,
  rowText,
} from './rows.ts'
import { type Aggregation, fieldNamed, type Rules, type Spec } from './spec.ts'

export interface PostgresAddress {
  host: string
  port: number
  user: string
  password: string
  database: string
  /** Without it, PGSSLMODE decides. */
  ssl?: TlsSettings
}

/** A row of any table, in the form that is compared. */
export interface FoundRow {
  key: string
  values: string
}

export interface AggregationRow extends FoundRow {
  /** Group-by values as PostgreSQL prints them. */
  groups: string[]
  version: string
  final: boolean
  partial: boolean
}

export interface ProgressRow {
  partition: number
  topicId: string
  firstOffset: number | null
  nextOffset: number | null
  /** Lines of the record at nextOffset that are counted already. */
  countedLines: number
  maxEventTime: number | null
  agreedTime: number | null
  records: number
  skipped: number
  dead: number
  duplicate: number
  accepted: number
}

export type AggregationProgress = Record<string, number>

const PAGE = 10_000

/** Column type: determines how a column is selected and converted to a cell. */
type Kind = 'time' | 'integer' | 'number' | 'text' | 'boolean' | 'bytes' | 'times'

export interface PipelineRow {
  /** namespace/name */
  owner: string
  /** Random id of the schema. */
  ownerId: string
  topic: string
  topicId: string
  watermark: number | null
}

export class Tables {
  private readonly client: Client
  private readonly schema: string

  private constructor(client: Client, schema: string) {
    this.client = client
    this.schema = schema
  }

  /** Rejects if the pipeline has no schema, or if it belongs to another pipeline. */
  static async connect(address: PostgresAddress, names: SchemaChoice): Promise<Tables> {
    const client = new Client({ ...address, application_name: 'verify' })
    await client.connect()
    try {
      return new Tables(client, quote(await chooseSchema(client, names)))
    } catch (error) {
      await client.end()
      throw error
    }
  }

  async close(): Promise<void> {
    await this.client.end()
  }

  /** Starts a snapshot: later queries see all tables as of this time. */
  async beginSnapshot(): Promise<void> {
    await this.client.query('begin isolation level repeatable read, read only')
  }

  /** Runs a query in which `@name` means table `name` of the pipeline's schema. */
  private async query<T extends object>(text: string): Promise<T[]> {
    return (await this.client.query<T>(this.inSchema(text))).rows
  }

  private inSchema(text: string): string {
    return text.replace(/@(\w+)/g, (_, table: string) => `${this.schema}.${quote(table)}`)
  }

  async pipeline(): Promise<PipelineRow> {
    const rows = await this.query<{
      owner: string
      owner_id: string
      topic: string
      topic_id: string
      watermark: string | null
    }>('select owner, owner_id, topic, topic_id, watermark from @pipeline')
    if (rows.length !== 1)
      throw new Error(
        `table pipeline in schema ${this.schema} has ${rows.length} rows, expected 1; check spec.sinks.postgres.schema and that a worker has started`,
      )
    const { owner, owner_id: ownerId, topic, topic_id: topicId, watermark } = rows[0]!
    return { owner, ownerId, topic, topicId, watermark: numberOrNull(watermark) }
  }

  async specs(): Promise<{ generation: number; document: unknown }[]> {
    return this.query('select generation::float8 as generation, document from @specs order by generation')
  }

  /** `recorded`: a release later than 0.3.0 wrote the entry. */
  async specHistory(): Promise<{ partition: number; from: number; generation: number; recorded: boolean }[]> {
    return this.query(
      `select partition, from_offset::float8 as from, generation::float8 as generation,
           recorded_generation is not distinct from generation as recorded
         from @spec_history order by partition, from_offset, generation`,
    )
  }

  async introductions(): Promise<{ name: string; generation: number }[]> {
    return this.query('select name, generation::float8 as generation from @aggregations')
  }

  /** Resolves with the indices that a release up to 0.3.0 filled. */
  async inherited(): Promise<string[]> {
    const rows = await this.query<{ inherited: string }>(
      'select inherited from @aggregations where inherited is not null',
    )
    return rows.map(({ inherited }) => inherited)
  }

  async storeRejected(): Promise<({ partition: number; offset: number } & Rejection)[]> {
    return this.query(
      `select partition, record_offset::float8 as offset, field, coalesce(counted_lines, 0) as "countedLines"
         from @dead_letters where reason = 'store_rejected'`,
    )
  }

  async redriven(): Promise<number> {
    return this.count('@dead_letters where redriven_at is not null')
  }

  /** Resolves with the number of rows that are not projected yet, and of documents that the sink rejected for good. */
  async unprojected(): Promise<{ pending: number; rejected: number }> {
    return { pending: await this.count('@outbox'), rejected: await this.count('@projection_errors') }
  }

  private async count(from: string): Promise<number> {
    return (await this.query<{ count: number }>(`select count(*)::float8 as count from ${from}`))[0]!.count
  }

  async progress(): Promise<ProgressRow[]> {
    const rows = await this.query<Record<string, string | null>>(
      `select partition, topic_id, first_offset, next_offset, counted_lines, max_event_time, agreed_time, records,
          skipped, dead, duplicate, accepted
         from @progress order by partition`,
    )
    return rows.map(row => ({
      partition: Number(row.partition),
      topicId: row.topic_id ?? '',
      firstOffset: numberOrNull(row.first_offset),
      nextOffset: numberOrNull(row.next_offset),
      countedLines: Number(row.counted_lines ?? 0),
      maxEventTime: numberOrNull(row.max_event_time),
      agreedTime: numberOrNull(row.agreed_time),
      records: Number(row.records),
      skipped: Number(row.skipped),
      dead: Number(row.dead),
      duplicate: Number(row.duplicate),
      accepted: Number(row.accepted),
    }))
  }

  /** Resolves with the counters by partition and aggregation. */
  async aggregationProgress(): Promise<{ partition: number; aggregation: string; counters: AggregationProgress }[]> {
    const rows = await this.query<Record<string, string>>(
      `select partition, aggregation, late, on_time, partly_late, missed_windows, added, missed
         from @progress_aggregations order by partition, aggregation`,
    )
    return rows.map(({ partition, aggregation, ...rest }) => ({
      partition: Number(partition),
      aggregation: aggregation!,
      counters: Object.fromEntries(Object.entries(rest).map(([name, count]) => [name, Number(count)])),
    }))
  }

  async *aggregationRows(aggregation: Aggregation, rules: Rules): AsyncGenerator<AggregationRow> {
    const columns = aggregationColumns(aggregation)
    const kinds: Kind[] = [
      'time',
      ...aggregation.groupBy.map(name => fieldKind(rules, name)),
      'time',
      ...columns.values.slice(1).map((): Kind => 'number'),
    ]
    const names = [...columns.key, ...columns.values]
    const more = [
      'version::text',
      'final',
      quote(markColumn(aggregation)),
      ...aggregation.groupBy.map(name => `${quote(name)}::text`),
    ]
    for await (const row of this.scan(aggregation.name, names, kinds, more)) {
      const [version, final, partial, ...groups] = row.slice(names.length) as [string, boolean, boolean, ...string[]]
      yield { ...found(row, columns.key.length, names.length), version, final, partial, groups }
    }
  }

  rawRows(table: string, rules: Rules): AsyncGenerator<FoundRow> {
    const columns = rawColumns(rules)
    const kinds = columns.values.slice(1).map(name => fieldKind(rules, name))
    return this.rows(table, columns, ['integer', 'integer', 'integer', 'time', ...kinds])
  }

  lateRows(): AsyncGenerator<FoundRow> {
    return this.rows('late_events', LATE_COLUMNS, ['integer', 'integer', 'text', 'time', 'times', 'boolean', 'bytes'])
  }

  deadRows(): AsyncGenerator<FoundRow> {
    return this.rows('dead_letters', DEAD_COLUMNS, ['text', 'integer', 'integer', 'text', 'text', 'bytes', 'bytes'])
  }

  private async *rows(
    table: string,
    columns: { key: string[]; values: string[] },
    kinds: Kind[],
  ): AsyncGenerator<FoundRow> {
    const names = [...columns.key, ...columns.values]
    for await (const row of this.scan(table, names, kinds)) yield found(row, columns.key.length, names.length)
  }

  /** Yields all rows of a table, fetched page by page; values of the `more` expressions are not converted. */
  private async *scan(table: string, names: string[], kinds: Kind[], more: string[] = []): AsyncGenerator<unknown[]> {
    const selected = [...names.map((name, index) => selectText(quote(name), kinds[index]!)), ...more]
    await this.client.query(
      `declare scan no scroll cursor for select ${selected.join(', ')} from ${this.schema}.${quote(table)}`,
    )
    for (;;) {
      const { rows } = await this.client.query<unknown[]>({ text: `fetch ${PAGE} from scan`, rowMode: 'array' })
      if (rows.length === 0) break
      for (const row of rows) yield row.map((value, index) => (kinds[index] ? toCell(value, kinds[index]) : value))
    }
    await this.client.query('close scan')
  }
}

type SchemaChoice = Pick<Spec, 'schema' | 'formerSchema' | 'owner'>

/** Resolves with the schema whose mark names the pipeline. */
async function chooseSchema(client: Client, { schema, formerSchema, owner }: SchemaChoice): Promise<string> {
  if (formerSchema !== null && (await markOf(client, formerSchema))?.owner === owner) return formerSchema
  const mark = await markOf(client, schema)
  if (mark === null)
    throw new Error(
      `schema ${schema} has no tables of a pipeline; check spec.sinks.postgres and that a worker of ${owner} has started`,
    )
  if (mark.owner !== owner)
    throw new Error(
      `schema ${schema} belongs to pipeline ${mark.owner} (id ${mark.id}), not to ${owner}; pass the file of that pipeline, or correct spec.sinks.postgres.schema`,
    )
  return schema
}

/** Resolves with the owner that the table `pipeline` of a schema names; null if there is none. */
async function markOf(client: Client, schema: string): Promise<{ owner: string; id: string } | null> {
  const table = `${quote(schema)}.pipeline`
  const known = await client.query<{ exists: boolean }>('select to_regclass($1) is not null as exists', [table])
  if (!known.rows[0]!.exists) return null
  const { rows } = await client.query<{ owner: string | null; id: string | null }>(
    `select to_jsonb(p) ->> 'owner' as owner, to_jsonb(p) ->> 'owner_id' as id from ${table} p`,
  )
  const [row] = rows
  return row?.owner ? { owner: row.owner, id: row.id ?? 'none' } : null
}

function fieldKind(rules: Rules, name: string): Kind {
  const { type } = fieldNamed(rules, name)
  if (type === 'string') return 'text'
  return type === 'boolean' ? 'boolean' : 'number'
}

function selectText(column: string, kind: Kind): string {
  if (kind === 'time') return `(extract(epoch from ${column}) * 1000)::text`
  if (kind !== 'times') return kind === 'bytes' ? column : `${column}::text`
  return `array(select (extract(epoch from m) * 1000)::text from unnest(${column}) with ordinality u(m, i) order by i)`
}

function toCell(value: unknown, kind: Kind): Cell {
  if (value === null) return null
  if (kind === 'bytes') return fingerprint(value as Buffer)
  if (kind === 'times') return (value as string[]).map(Number)
  if (kind === 'integer') return Number(value)
  if (kind === 'time') return toTime(value as string)
  return kind === 'number' ? numberText(value as string) : (value as string)
}

/** PostgreSQL's `extract` returns Infinity for an infinite time. */
function toTime(text: string): Cell {
  return Number.isFinite(Number(text)) ? Number(text) : text.toLowerCase()
}

function found(row: unknown[], keys: number, end: number): FoundRow {
  return { key: rowText(row.slice(0, keys) as Cell[]), values: rowText(row.slice(keys, end) as Cell[]) }
}

function numberOrNull(text: string | number | null | undefined): number | null {
  return text === null || text === undefined ? null : Number(text)
}

function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
