/** SQL over one aggregation's table: create, upsert, finalise, remove, and read for a projection. */
import type { CompiledAggregation, CompiledColumn, CompiledField } from '#pipeline/compiled-spec.ts'
import { decimalText } from '#processor/core/exact.ts'
import { enqueue } from './outbox-statements.ts'
import { CLOCK_MICROS, quoted, type Statements } from './statements.ts'

export type AggregateStatements = ReturnType<typeof aggregateStatements>

const KEY_TYPES: Record<CompiledField['type'], string> = {
  string: 'text',
  number: 'numeric',
  decimal: 'numeric',
  boolean: 'boolean',
}

export const isCount = (column: CompiledColumn) => column.source === 'count'

/** `ident`: the quoted name. */
type Column = { name: string; type: string; ident: string }

/** Returns the columns of the key and of the measures. */
function columnsOf(aggregation: CompiledAggregation, fields: CompiledField[]) {
  const column = (name: string, type: string): Column => ({ name, type, ident: quoted(name) })
  const groups = aggregation.keys.map(k => column(fields[k]!.name, KEY_TYPES[fields[k]!.type]))
  const key = [column('window_start', 'timestamptz'), ...groups]
  const measures = aggregation.columns.map(c => ({
    ...column(c.name, isCount(c) ? 'bigint' : 'numeric'),
    merge: c.merge,
  }))
  return { key, measures }
}

const list = (columns: Column[], write = (c: Column) => c.ident) => columns.map(write).join(', ')

export function aggregateStatements(statements: Statements, aggregation: CompiledAggregation, fields: CompiledField[]) {
  const table = statements.table(aggregation.name)
  const { key, measures } = columnsOf(aggregation, fields)
  return {
    create: createStatements(statements, aggregation, fields),
    /** For a table of release 0.3.0. */
    addMark: `ALTER TABLE ${table} ADD COLUMN ${markColumn(aggregation)}`,
    upsert: upsertStatement(statements, aggregation, key, measures),
    ...partialStatements(statements, aggregation, key),
    ...closingStatements(statements, table, key),
    ...rebuildStatements(statements, table, key),
    ...projectionStatements(statements, aggregation, key, measures),
  }
}

function createStatements(statements: Statements, aggregation: CompiledAggregation, fields: CompiledField[]): string[] {
  const table = statements.table(aggregation.name)
  const { key, measures } = columnsOf(aggregation, fields)
  const collated = (c: Column) => `${c.ident} ${c.type}${c.type === 'text' ? ' COLLATE "C"' : ''} NOT NULL`
  const shown = aggregation.shown.map(
    ({ name, sum, count, scale }) => `${quoted(name)} numeric GENERATED ALWAYS AS
      (${statements.table('divide_half_even')}(${quoted(sum)}, ${count === null ? 1 : quoted(count)}, ${unitsOf(scale)})) STORED`,
  )
  const [start, ...groups] = key
  const columns = [
    collated(start!),
    'window_end timestamptz NOT NULL',
    ...groups.map(collated),
    ...measures.map(collated),
    ...shown,
    'version bigint NOT NULL',
    'final boolean NOT NULL DEFAULT false',
    'reopened integer NOT NULL DEFAULT 0',
    markColumn(aggregation),
    'created_at timestamptz NOT NULL DEFAULT clock_timestamp()',
    'updated_at timestamptz NOT NULL DEFAULT clock_timestamp()',
    `CONSTRAINT ${quoted(`${aggregation.name}.key`)} PRIMARY KEY (${list(key)})`,
  ]
  // Free space on each page lets PostgreSQL update rows in place while their window is open.
  const create = `CREATE TABLE ${table} (${columns.join(', ')}) WITH (fillfactor = 70)`
  // Finds the open windows among many closed ones. An update of an open row does not change the indexed column. Table
  // names contain no dot, so an index name with a dot is free.
  const open = `CREATE INDEX ${quoted(`${aggregation.name}.open`)} ON ${table} (window_start) WHERE NOT final`
  return aggregation.window === null ? [create] : [create, open]
}

/** Rows that an earlier release created, or creates after a rollback, have no mark. */
const markColumn = ({ mark }: CompiledAggregation) => `${quoted(mark)} boolean NOT NULL DEFAULT false`

/** 2 → 100, 0.01 */
const unitsOf = (scale: number) => `${10n ** BigInt(scale)}, ${decimalText(1, scale)}`

/** Returns a row's key as the outbox stores it. */
const keyJson = (key: Column[], from: string) =>
  `jsonb_build_array(${key.map((c, i) => `${from}.${c.ident}${i === 0 ? '' : '::text'}`).join(', ')})`

/** Parameters: window starts, window ends, the group-by columns, the measures, all as arrays; then name and traces. */
function upsertStatement(
  statements: Statements,
  aggregation: CompiledAggregation,
  key: Column[],
  measures: (Column & { merge: string })[],
): string {
  const table = statements.table(aggregation.name)
  const [start, ...groups] = key
  const end: Column = { name: 'window_end', type: 'timestamptz', ident: 'window_end' }
  const sent = [start!, end, ...groups, ...measures]
  const merged = measures.map(({ ident, merge }) => {
    if (merge === 'add') return `${ident} = t.${ident} + EXCLUDED.${ident}`
    return `${ident} = ${merge === 'min' ? 'LEAST' : 'GREATEST'}(t.${ident}, EXCLUDED.${ident})`
  })
  const inOrder = list(key, c => `r.${c.ident}${c.type === 'text' ? ' COLLATE "C"' : ''}`)
  const name = `$${sent.length + 1}::text`
  return `
    WITH written AS (
      INSERT INTO ${table} AS t (${list(sent)}, version, reopened, ${quoted(aggregation.mark)})
      SELECT ${list(sent, c => `r.${c.ident}`)}, (SELECT ${CLOCK_MICROS}), ${isFinal(statements, aggregation)}::int,
        ${isIncomplete(statements, 'r', name)}
      FROM unnest(${sent.map((c, i) => `$${i + 1}::${c.type}[]`).join(', ')}) AS r (${list(sent)})
      ORDER BY ${inOrder}
      ON CONFLICT (${list(key)}) DO UPDATE SET ${merged.join(', ')},
        version = GREATEST(t.version + 1, EXCLUDED.version), final = false,
        reopened = t.reopened + (t.final OR t.reopened = 0 AND EXCLUDED.reopened = 1)::int, updated_at = EXCLUDED.updated_at
      RETURNING ${list(key, c => `t.${c.ident}`)}
    )${enqueue(
      statements.table('outbox'),
      name,
      `(SELECT ${keyJson(key, 'w')} AS k FROM written w
        WHERE EXISTS (SELECT FROM ${statements.table('aggregations')} WHERE name = ${name} AND projection IS NOT NULL))`,
      { traces: `$${sent.length + 2}::text[]` },
    )}`
}

/** Whether the pipeline watermark has made the window of `r` final. Its rows may not be marked yet. */
function isFinal(statements: Statements, { window, allowedLateness }: CompiledAggregation): string {
  if (window === null || allowedLateness === Number.POSITIVE_INFINITY) return 'false'
  const watermark = `(SELECT watermark FROM ${statements.table('pipeline')})`
  return `coalesce(extract(epoch FROM r.window_end) * 1000 + ${allowedLateness} <= ${watermark}, false)`
}

/** Whether the window of `row` contains an event time of which the aggregation `name` may lack records. */
const isIncomplete = (statements: Statements, row: string, name: string) =>
  `tstzrange(${row}.window_start, ${row}.window_end) && (SELECT incomplete FROM ${statements.table('aggregations')} WHERE name = ${name})`

/** Statements that widen the range of event times of which the table may lack records, in this order. */
function partialStatements(statements: Statements, { name, mark, window }: CompiledAggregation, key: Column[]) {
  const table = statements.table(name)
  const aggregations = statements.table('aggregations')
  const bound = (of: 'lower' | 'upper') => `(SELECT ${of}(incomplete) FROM ${aggregations} WHERE name = $1)`
  const onKey = key.map(c => `t.${c.ident} = c.${c.ident}`).join(' AND ')
  const projected = `EXISTS (SELECT FROM ${aggregations} WHERE name = $1 AND projection IS NOT NULL)`
  return {
    /** A commit in progress may create a row that it does not mark. So it must be stored before rows are marked. */
    lock: `LOCK TABLE ${table} IN SHARE ROW EXCLUSIVE MODE`,
    /** $1 name, $2 event time after which records may be missing, $3 last such event time. */
    widen: `
    UPDATE ${aggregations} SET incomplete = incomplete + tstzmultirange(tstzrange($2::timestamptz, $3::timestamptz, '(]'))
    WHERE name = $1`,
    /** $1 name. */
    markPartial: `
    WITH c AS (
      SELECT ${list(key, c => `t.${c.ident}`)} FROM ${table} t
      WHERE t.window_start <= ${bound('upper')}
        AND t.window_start >= ${bound('lower')} - ${window?.size ?? 0} * interval '1 millisecond'
        AND NOT t.${quoted(mark)} AND ${isIncomplete(statements, 't', '$1')}
      ORDER BY ${list(key, c => `t.${c.ident}`)} FOR UPDATE
    ), changed AS (
      UPDATE ${table} AS t SET ${quoted(mark)} = true, version = GREATEST(t.version + 1, ${CLOCK_MICROS}),
        updated_at = clock_timestamp()
      FROM c WHERE ${onKey} RETURNING ${list(key, c => `t.${c.ident}`)}
    )${enqueue(statements.table('outbox'), '$1::text', `(SELECT ${keyJson(key, 'w')} AS k FROM changed w WHERE ${projected})`)}`,
  }
}

/** `finalise` and `remove` return the number of changed rows. Rows are locked in key order before any change. */
function closingStatements(statements: Statements, table: string, key: Column[]) {
  const onKey = key.map(c => `t.${c.ident} = c.${c.ident}`).join(' AND ')
  const projected = `EXISTS (SELECT FROM ${statements.table('aggregations')} WHERE name = $3 AND projection IS NOT NULL)`
  const chosen = (condition: string) => `
      SELECT ${list(key)} FROM ${table} WHERE window_start <= $1::timestamptz AND ${condition}
      ORDER BY ${list(key)} LIMIT $2 FOR UPDATE`
  return {
    /** $1 newest window start that is closed, $2 maximal number of rows, $3 name. */
    finalise: `
    WITH c AS (${chosen('NOT final')}
    ), changed AS (
      UPDATE ${table} AS t SET final = true, version = GREATEST(t.version + 1, ${CLOCK_MICROS}),
        updated_at = clock_timestamp()
      FROM c WHERE ${onKey} RETURNING ${list(key, c => `t.${c.ident}`)}
    ), entries AS (${enqueue(statements.table('outbox'), '$3::text', `(SELECT ${keyJson(key, 'w')} AS k FROM changed w WHERE ${projected})`)})
    SELECT count(*)::int AS rows FROM changed`,
    /** Parameters as for finalise. The tombstone's version is below any that the clock gives to a row created later. */
    remove: `
    WITH c AS (${chosen('final')}
    ), changed AS (
      DELETE FROM ${table} AS t USING c WHERE ${onKey} RETURNING ${list(key, c => `t.${c.ident}`)}, t.version
    ), entries AS (${enqueue(
      statements.table('outbox'),
      '$3::text',
      `(SELECT ${keyJson(key, 'w')} AS k, w.version FROM changed w WHERE ${projected})`,
      { removed_version: 'max(version) + 1' },
    )})
    SELECT count(*)::int AS rows FROM changed`,
  }
}

/** A rebuild gives all rows new versions and enqueues them, in batches in the order of their keys. */
function rebuildStatements(statements: Statements, table: string, key: Column[]) {
  const aggregations = statements.table('aggregations')
  const onKey = key.map(c => `t.${c.ident} = c.${c.ident}`).join(' AND ')
  const after = key.map((c, i) => `($3::jsonb->>${i})::${c.type}`).join(', ')
  const listed = '(SELECT count(*) FROM c)'
  return {
    /** $1 name, $2 whether to begin again if a rebuild is in progress. */
    beginRebuild: `
    UPDATE ${aggregations} SET rebuild_rows = (SELECT count(*) FROM ${table}), rebuild_listed = 0, rebuild_after = '[]'
    WHERE name = $1 AND (rebuild_rows IS NULL OR $2)`,
    /**
     * Lists the next rows: $1 name, $2 maximal number, $3 rebuild_after. Locks rows in key order, and the rebuild only then,
     * as all transactions do. If it began again meanwhile, it stays at its begin. Returns whether all rows are listed.
     */
    continueRebuild: (isFirst: boolean) => `
    WITH c AS (
      SELECT ${list(key)} FROM ${table} ${isFirst ? '' : `WHERE (${list(key)}) > (${after})`}
      ORDER BY ${list(key)} LIMIT $2 FOR UPDATE
    ), changed AS (
      UPDATE ${table} AS t SET version = GREATEST(t.version + 1, ${CLOCK_MICROS})
      FROM c WHERE ${onKey} RETURNING ${list(key, c => `t.${c.ident}`)}
    ), entries AS (${enqueue(
      statements.table('outbox'),
      '$1::text',
      `(SELECT ${keyJson(key, 'w')} AS k FROM changed w)`,
      {
        compacted: 'true',
      },
    )}), last AS (
      SELECT ${keyJson(key, 'c')} AS k FROM c ORDER BY ${list(key, c => `c.${c.ident} DESC`)} LIMIT 1
    )
    UPDATE ${aggregations} SET rebuild_listed = rebuild_listed + ${listed},
      rebuild_after = CASE WHEN ${listed} = $2 THEN (SELECT k FROM last) END,
      rebuild_rows = CASE WHEN ${listed} = $2 THEN rebuild_rows ELSE rebuild_listed + ${listed} END
    WHERE name = $1 AND rebuild_after = ${isFirst ? `'[]'` : '$3::jsonb'} RETURNING rebuild_after IS NULL AS finished`,
  }
}

function projectionStatements(
  statements: Statements,
  aggregation: CompiledAggregation,
  key: Column[],
  measures: Column[],
) {
  const table = statements.table(aggregation.name)
  const outbox = statements.table('outbox')
  const keyColumns = key.map((c, i) => `(k->>${i})::${c.type} AS ${c.ident}`)
  const text = (sql: string) => `${sql}::text`
  const millis = (sql: string) => `(extract(epoch FROM ${sql}) * 1000)::text`
  const array = (values: string[]) => `ARRAY[${values.join(', ')}]::text[]`
  const shown = aggregation.shown.map(({ name }) => text(`t.${quoted(name)}`))
  const [start, ...groups] = key
  /** Columns of a row. `key`: alias of its key; the alias t has the other columns. */
  const columns = (key: string) => `
      ${millis(`${key}.${start!.ident}`)} AS window_start, ${millis('t.window_end')} AS window_end,
      ${array(groups.map(c => text(`${key}.${c.ident}`)))} AS keys, ${array(measures.map(c => text(`t.${c.ident}`)))} AS columns,
      ${array(shown)} AS shown, t.version::text AS version, t.final, t.${quoted(aggregation.mark)} AS partial,
      ${millis('t.updated_at')} AS updated_at`
  return {
    /** $1 entries, $2 name. Returns one row per key; version is null if the row was deleted. */
    snapshot: `
    SELECT ${columns('w')}, w.removed_version::text AS removed_version, ${millis('w.created_at')} AS created_at
    FROM (
      SELECT ${keyColumns.join(', ')}, max(removed_version) AS removed_version, max(created_at) AS created_at
      FROM ${outbox} o, jsonb_array_elements(o.keys) AS each (k)
      WHERE o.seq = ANY ($1::bigint[]) AND o.aggregation = $2 GROUP BY k
    ) w LEFT JOIN ${table} t ON ${key.map(c => `t.${c.ident} = w.${c.ident}`).join(' AND ')}`,
    /** The first and the last rows of the table: $1 number of rows at each end, $2 names of all aggregations. */
    ends: (i: number) => `
    SELECT ${i} AS aggregation, ($2::text[])[${i + 1}] AS name, ${keyJson(key, 't')} AS k, ${columns('t')}
    FROM (
      (SELECT * FROM ${table} ORDER BY ${list(key)} LIMIT $1) UNION
      (SELECT * FROM ${table} ORDER BY ${list(key, c => `${c.ident} DESC`)} LIMIT $1)
    ) t`,
    /** Enqueues all rows of the table: $1 name. */
    enqueueAll: enqueue(outbox, '$1::text', `(SELECT ${keyJson(key, 't')} AS k FROM ${table} t)`, {
      compacted: 'true',
    }),
  }
}

/** SQL over the raw table, whose columns follow the event's fields. */
export function rawStatements(statements: Statements, name: string, fields: CompiledField[]) {
  const table = statements.table(name)
  const key = ['partition', 'record_offset', 'line'].map(quoted).join(', ')
  const columns: Column[] = fields.map(f => ({ name: f.name, type: KEY_TYPES[f.type], ident: quoted(f.name) }))
  const required = (i: number) => (fields[i]!.optional && fields[i]!.default === undefined ? '' : ' NOT NULL')
  const types = ['int', 'bigint', 'int', 'timestamptz', ...columns.map(c => c.type)]
  return {
    create: `
    CREATE TABLE ${table} (partition integer NOT NULL, record_offset bigint NOT NULL, line integer NOT NULL,
      event_time timestamptz NOT NULL, ${columns.map((c, i) => `${c.ident} ${c.type}${required(i)}, `).join('')}
      CONSTRAINT ${quoted(`${name}.key`)} PRIMARY KEY (${key}))`,
    insert: `
    INSERT INTO ${table} (${key}, event_time${columns.map(c => `, ${c.ident}`).join('')})
    SELECT * FROM unnest(${types.map((type, i) => `$${i + 1}::${type}[]`).join(', ')})
      AS r (partition, record_offset, line)
    ORDER BY r.partition, r.record_offset, r.line`,
  }
}
