/** A pipeline's schema in its own database, read through a plain connection. */
import pg from 'pg'
import { compileSpec } from '#pipeline/compiled-spec.ts'
import { type SchemaNames, schemaNames, specIdentity } from '#pipeline/identity.ts'
import type { PostgresStoreOptions } from '#processor/adapters/postgres/options.ts'
import { createPostgresStore } from '#processor/adapters/postgres/store.ts'
import type { Expulsions } from '#processor/ports.ts'
import { type Database, postgres } from '#test/support/services.ts'
import { type Harness, pipelineOf, type Row, type Worker } from './fixture.ts'

export type PostgresHarness = Harness & {
  /** What the workers connect to. */
  address: Database
  /** The server, if the workers connect to something before it. */
  direct: Database
  schema: string
  options(pipeline?: ReturnType<typeof pipelineOf>): PostgresStoreOptions & { names: SchemaNames }
  /** Creates a worker with other options. */
  workerWith(options: Partial<PostgresStoreOptions>): Worker & Expulsions
  /** `@name` stands for a table of the schema. */
  query<T extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<T[]>
}

const types = new pg.TypeOverrides()
types.setTypeParser(pg.types.builtins.INT8, Number)

export async function freshPostgres(): Promise<PostgresHarness> {
  const server = await postgres()
  return harnessOn(await server.createDatabase())
}

export async function harnessOn(direct: Database, address = direct): Promise<PostgresHarness> {
  const client = new pg.Client({ ...direct, types })
  client.on('error', () => {}) // a test that kills the server notices it in other ways
  await client.connect()
  const workers: Worker[] = []
  let count = 0
  const schema = schemaNames(pipelineOf()).name
  const query = async <T extends pg.QueryResultRow>(text: string, values: unknown[] = []) =>
    (await client.query<T>(text.replace(/@(\w+)/g, `${pg.escapeIdentifier(schema)}."$1"`), values)).rows
  const options = (pipeline = pipelineOf()) => ({
    connection: address,
    schema,
    names: schemaNames(pipeline),
    owner: `${pipeline.metadata.namespace}/${pipeline.metadata.name}`,
    compiled: compileSpec(pipeline.spec),
    pipelineJson: JSON.stringify(pipeline),
    specIdentity: specIdentity(pipeline.spec),
    workerId: `worker-${count++}`,
  })
  const workerWith = (changed: Partial<PostgresStoreOptions>) => {
    const worker = createPostgresStore({ ...options(), ...changed })
    workers.push(worker)
    return worker
  }
  return {
    address,
    direct,
    schema,
    options,
    workerWith,
    query,
    worker: pipeline => workerWith(options(pipeline)),
    rows: name => readRows(query, name),
    late: () =>
      query(`SELECT record_offset AS offset, aggregation, (extract(epoch FROM event_time) * 1000)::bigint AS "eventTime",
        array(SELECT (extract(epoch FROM m) * 1000)::float8 FROM unnest(missed) AS m) AS missed, entirely,
        encode(payload, 'escape') AS payload FROM @late_events ORDER BY record_offset`).then(
        rows => rows.map(readable) as never,
      ),
    dead: () =>
      query(`SELECT record_offset AS offset, reason, field, encode(record_key, 'escape') AS key, headers,
        encode(payload, 'escape') AS payload, payload_bytes AS "payloadBytes", payload_sha256 AS sha256, detail
        FROM @dead_letters ORDER BY record_offset`).then(rows => rows.map(readable) as never),
    raw: () =>
      query(`SELECT record_offset AS offset, line, (extract(epoch FROM event_time) * 1000)::bigint AS "eventTime",
        ARRAY[store, amount::text, quantity::text, online::text, note] AS values
        FROM @sales_raw ORDER BY record_offset, line`) as never,
    async progress(partition) {
      const [row] = await query(`SELECT * FROM @progress WHERE partition = $1`, [partition])
      const counts = await query(
        `SELECT aggregation, late, on_time AS "onTime", partly_late AS "partlyLate", missed_windows AS "missedWindows",
           added, missed FROM @progress_aggregations WHERE partition = $1`,
        [partition],
      )
      const { first_offset, next_offset, records, skipped, dead, duplicate, accepted } = row!
      return {
        firstOffset: first_offset,
        nextOffset: next_offset,
        counters: { records, skipped, dead, duplicate, accepted },
        aggregations: Object.fromEntries(counts.map(({ aggregation, ...rest }) => [aggregation, rest])) as never,
      }
    },
    projectionErrors: () => query('SELECT id, error FROM @projection_errors'),
    async elapse(ms) {
      await query('SELECT pg_sleep($1)', [ms / 1000])
    },
    async close() {
      await Promise.all(workers.map(worker => worker.close()))
      await client.end()
    },
  }
}

const COMMON_COLUMNS = new Set([
  'window_start',
  'window_end',
  'version',
  'final',
  'reopened',
  'partial',
  'created_at',
  'updated_at',
])

async function readRows(query: PostgresHarness['query'], name: string): Promise<Row[]> {
  const compiled = compileSpec(pipelineOf().spec)
  const known = compiled.aggregations.find(a => a.name === name)
  const keyNames = known?.keys.map(k => compiled.fields[k]!.name) ?? []
  const key = ['window_start', ...keyNames].join(', ')
  const rows = await query(
    `SELECT (extract(epoch FROM window_start) * 1000)::text AS start, (extract(epoch FROM window_end) * 1000)::text AS end,
       version::text AS exact_version, t.* FROM @${name} t ORDER BY ${key}`,
  )
  return rows.map(({ start, end, exact_version, final, reopened, partial, ...row }) => {
    const measures = Object.entries(row).filter(([column]) => !COMMON_COLUMNS.has(column) && !keyNames.includes(column))
    return {
      windowStart: Number(start),
      windowEnd: Number(end),
      keys: keyNames.map(column => String(row[column])),
      values: Object.fromEntries(measures.map(([column, value]) => [column, String(value)])),
      version: BigInt(exact_version),
      final,
      reopened,
      partial,
    }
  })
}

/** Decodes bytes in PostgreSQL's escape format, where unprintable bytes are octal. */
function readable(row: pg.QueryResultRow): pg.QueryResultRow {
  const bytes = (text: string | null) =>
    text?.replace(/\\(\d{3}|\\)/g, (_, code: string) =>
      code === '\\' ? '\\' : String.fromCharCode(Number.parseInt(code, 8)),
    ) ?? null
  const { payload, key } = row
  return { ...row, payload: bytes(payload), ...('key' in row ? { key: bytes(key) } : {}) }
}
