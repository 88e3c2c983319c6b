/** SQL over one aggregation's table: created, added to, finalised, removed from, read for a projection. */
import type { CompiledAggregation, CompiledColumn, CompiledField } from '#pipeline/compiled-spec.ts'
import { decimalText } from '#processor/core/exact.ts'
import { CLOCK_MICROS, enqueue, quoted, type Statements } from './statements.ts'

export type AggregateStatements = ReturnType<typeof aggregateStatements>

const KEY_TYPES: Record<CompiledField['type'], string> = {
  string: 'text',
  number: 'numeric',
  decimal: 'numeric',
  boolean: 'boolean',
}

export const isCount = (column: CompiledColumn) => 'count' in column.source

type Column = { name: string; type: string; of: string }

/** The key's and the measures' columns; `of` names them in statements. */
function columnsOf(aggregation: CompiledAggregation, fields: CompiledField[]) {
  const column = (name: string, type: string): Column => ({ name, type, of: quoted(name) })
  const groups = aggregation.keys.map(k => column(fields[k]!.name, KEY_TYPES[fields[k]!.type]))
  const key = [column('window_start', 'timestamptz'), ...groups]
  const measures = aggregation.columns.map(c => ({
    ...column(c.name, isCount(c) ? 'bigint' : 'numeric'),
    merge: c.merge,
  }))
  return { key, measures }
}

const list = (columns: Column[], write = (c: Column) => c.of) => columns.map(write).join(', ')

export function aggregateStatements(statements: Statements, aggregation: CompiledAggregation, fields: CompiledField[]) {
  const table = statements.table(aggregation.name)
  const { key, measures } = columnsOf(aggregation, fields)
  return {
    create: createStatements(statements, aggregation, fields),
    upsert: upsertStatement(statements, table, key, measures),
    ...closingStatements(statements, table, key),
    ...projectionStatements(statements, aggregation, key, measures),
  }
}

function createStatements(statements: Statements, aggregation: CompiledAggregation, fields: CompiledField[]): string[] {
  const table = statements.table(aggregation.name)
  const { key, measures } = columnsOf(aggregation, fields)
  const collated = (c: Column) => `${c.of} ${c.type}${c.type === 'text' ? ' COLLATE "C"' : ''} NOT NULL`
  const averages = aggregation.averages.map(
    a => `${quoted(a.name)} numeric GENERATED ALWAYS AS
      (${statements.table('divide_half_even')}(${quoted(a.sum)}, ${quoted(a.count)}, ${unitsOf(a.scale)})) STORED`,
  )
  const [start, ...groups] = key
  const columns = [
    collated(start!),
    'window_end timestamptz NOT NULL',
    ...groups.map(collated),
    ...measures.map(collated),
    ...averages,
    'version bigint NOT NULL',
    'final boolean NOT NULL DEFAULT false',
    'reopened integer NOT NULL DEFAULT 0',
    'created_at timestamptz NOT NULL DEFAULT clock_timestamp()',
    'updated_at timestamptz NOT NULL DEFAULT clock_timestamp()',
    `CONSTRAINT ${quoted(`${aggregation.name}.key`)} PRIMARY KEY (${list(key)})`,
  ]
  // Rows are updated while their window is open: room on the page lets PostgreSQL do so in place.
  const create = `CREATE TABLE ${table} (${columns.join(', ')}) WITH (fillfactor = 70)`
  // Finds the open windows among all the closed ones. Adding to an open row changes none of its columns. No table's
  // name holds a dot, so that of an index with one is free.
  const open = `CREATE INDEX ${quoted(`${aggregation.name}.open`)} ON ${table} (window_start) WHERE NOT final`
  return aggregation.window === null ? [create] : [create, open]
}

/** 2 → 100, 0.01 */
const unitsOf = (scale: number) => `${10n ** BigInt(scale)}, ${decimalText(1, scale)}`

/** A row's key as the outbox keeps it. */
const keyJson = (key: Column[], from: string) =>
  `jsonb_build_array(${key.map((c, i) => `${from}.${c.of}${i === 0 ? '' : '::text'}`).join(', ')})`

/** Parameters: window starts, window ends, the group-by columns, the measures, all as arrays; then name and traces. */
function upsertStatement(
  statements: Statements,
  table: string,
  key: Column[],
  measures: (Column & { merge: string })[],
): string {
  const [start, ...groups] = key
  const end: Column = { name: 'window_end', type: 'timestamptz', of: 'window_end' }
  const sent = [start!, end, ...groups, ...measures]
  const merged = measures.map(({ of, merge }) => {
    if (merge === 'add') return `${of} = t.${of} + EXCLUDED.${of}`
    return `${of} = ${merge === 'min' ? 'LEAST' : 'GREATEST'}(t.${of}, EXCLUDED.${of})`
  })
  const inOrder = list(key, c => `r.${c.of}${c.type === 'text' ? ' COLLATE "C"' : ''}`)
  const name = `$${sent.length + 1}::text`
  return `
    WITH written AS (
      INSERT INTO ${table} AS t (${list(sent)}, version)
      SELECT ${list(sent, c => `r.${c.of}`)}, (SELECT ${CLOCK_MICROS})
      FROM unnest(${sent.map((c, i) => `$${i + 1}::${c.type}[]`).join(', ')}) AS r (${list(sent)})
      ORDER BY ${inOrder}
      ON CONFLICT (${list(key)}) DO UPDATE SET ${merged.join(', ')},
        version = GREATEST(t.version + 1, EXCLUDED.version), final = false, reopened = t.reopened + t.final::int,
        updated_at = EXCLUDED.updated_at
      RETURNING ${list(key, c => `t.${c.of}`)}
    )${enqueue(
      statements.table('outbox'),
      name,
      `(SELECT ${keyJson(key, 'w')} AS k FROM written w
        WHERE EXISTS (SELECT FROM ${statements.table('aggregations')} WHERE name = ${name} AND projection IS NOT NULL))`,
      { traces: `$${sent.length + 2}::text[]` },
    )}`
}

/** finalise and remove answer how many rows they changed. Rows are locked in key order before any is changed. */
function closingStatements(statements: Statements, table: string, key: Column[]) {
  const onKey = key.map(c => `t.${c.of} = c.${c.of}`).join(' AND ')
  const projected = `EXISTS (SELECT FROM ${statements.table('aggregations')} WHERE name = $3 AND projection IS NOT NULL)`
  const chosen = (condition: string) => `
      SELECT ${list(key)} FROM ${table} WHERE window_start <= $1::timestamptz AND ${condition}
      ORDER BY ${list(key)} LIMIT $2 FOR UPDATE`
  return {
    /** $1 newest window start that is closed, $2 how many at most, $3 name. */
    finalise: `
    WITH c AS (${chosen('NOT final')}
    ), changed AS (
      UPDATE ${table} AS t SET final = true, version = GREATEST(t.version + 1, ${CLOCK_MICROS}),
        updated_at = clock_timestamp()
      FROM c WHERE ${onKey} RETURNING ${list(key, c => `t.${c.of}`)}
    ), entries AS (${enqueue(statements.table('outbox'), '$3::text', `(SELECT ${keyJson(key, 'w')} AS k FROM changed w WHERE ${projected})`)})
    SELECT count(*)::int AS rows FROM changed`,
    /** All rows get a new version, and wait to be projected: $1 name. Rows are locked in key order here, too. */
    renew: `
    WITH c AS (SELECT ${list(key)} FROM ${table} ORDER BY ${list(key)} FOR UPDATE
    ), changed AS (
      UPDATE ${table} AS t SET version = GREATEST(t.version + 1, ${CLOCK_MICROS})
      FROM c WHERE ${onKey} RETURNING ${list(key, c => `t.${c.of}`)}
    )${enqueue(statements.table('outbox'), '$1::text', `(SELECT ${keyJson(key, 'w')} AS k FROM changed w)`, {
      compacted: 'true',
    })}`,
    /** The same parameters. The tombstone's version is older than any that the clock will give to a row made anew. */
    remove: `
    WITH c AS (${chosen('final')}
    ), changed AS (
      DELETE FROM ${table} AS t USING c WHERE ${onKey} RETURNING ${list(key, c => `t.${c.of}`)}, t.version
    ), entries AS (${enqueue(
      statements.table('outbox'),
      '$3::text',
      `(SELECT ${keyJson(key, 'w')} AS k, w.version FROM changed w WHERE ${projected})`,
      { removed_version: 'max(version) + 1' },
    )})
    SELECT count(*)::int AS rows FROM changed`,
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
  const wanted = key.map((c, i) => `(k->>${i})::${c.type} AS ${c.of}`)
  const text = (of: string) => `${of}::text`
  const millis = (of: string) => `(extract(epoch FROM ${of}) * 1000)::text`
  const array = (values: string[]) => `ARRAY[${values.join(', ')}]::text[]`
  const averages = aggregation.averages.map(a => text(`t.${quoted(a.name)}`))
  const [start, ...groups] = key
  return {
    /** $1 entries, $2 name. One row for each key; version is null where the row is gone. */
    snapshot: `
    SELECT ${millis(`w.${start!.of}`)} AS window_start, ${millis('t.window_end')} AS window_end,
      ${array(groups.map(c => text(`w.${c.of}`)))} AS keys, ${array(measures.map(c => text(`t.${c.of}`)))} AS columns,
      ${array(averages)} AS averages, t.version::text AS version, t.final, ${millis('t.updated_at')} AS updated_at,
      w.removed_version::text AS removed_version, ${millis('w.created_at')} AS created_at
    FROM (
      SELECT ${wanted.join(', ')}, max(removed_version) AS removed_version, max(created_at) AS created_at
      FROM ${outbox} o, jsonb_array_elements(o.keys) AS each (k)
      WHERE o.seq = ANY ($1::bigint[]) AND o.aggregation = $2 GROUP BY k
    ) w LEFT JOIN ${table} t ON ${key.map(c => `t.${c.of} = w.${c.of}`).join(' AND ')}`,
    /** All rows of the table: $1 name. */
    enqueueAll: enqueue(outbox, '$1::text', `(SELECT ${keyJson(key, 't')} AS k FROM ${table} t)`, {
      compacted: 'true',
    }),
  }
}

/** The raw table: its columns follow the event's fields. */
export function rawStatements(statements: Statements, name: string, fields: CompiledField[]) {
  const table = statements.table(name)
  const key = ['partition', 'record_offset', 'line'].map(quoted).join(', ')
  const own: Column[] = fields.map(f => ({ name: f.name, type: KEY_TYPES[f.type], of: quoted(f.name) }))
  const required = (i: number) => (fields[i]!.optional && fields[i]!.default === undefined ? '' : ' NOT NULL')
  const types = ['int', 'bigint', 'int', 'timestamptz', ...own.map(c => c.type)]
  return {
    create: `
    CREATE TABLE ${table} (partition integer NOT NULL, record_offset bigint NOT NULL, line integer NOT NULL,
      event_time timestamptz NOT NULL, ${own.map((c, i) => `${c.of} ${c.type}${required(i)}, `).join('')}
      CONSTRAINT ${quoted(`${name}.key`)} PRIMARY KEY (${key}))`,
    insert: `
    INSERT INTO ${table} (${key}, event_time${own.map(c => `, ${c.of}`).join('')})
    SELECT * FROM unnest(${types.map((type, i) => `$${i + 1}::${type}[]`).join(', ')})
      AS r (partition, record_offset, line)
    ORDER BY r.partition, r.record_offset, r.line`,
  }
}
