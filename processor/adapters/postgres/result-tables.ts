/** Creates the tables of aggregations and raw sales; refuses tables of other owners or with other columns. */
import { createHash } from 'node:crypto'
import type { CompiledSpec } from '#pipeline/compiled-spec.ts'
import { START_OVER } from '#pipeline/start-over.ts'
import { Fatal } from '#processor/errors.ts'
import { projectionsOf } from '../projected-row.ts'
import { aggregateStatements, rawStatements } from './aggregate-statements.ts'
import type { Session } from './connections.ts'
import type { PostgresStoreOptions } from './options.ts'
import { projectionTarget, quoted, type Statements } from './statements.ts'

/** `mark`: the column that marks partial windows, and the statement that adds it. */
type ResultTable = {
  name: string
  kind: 'aggregation' | 'raw'
  identity: string
  create: string[]
  mark?: { column: string; add: string; repair: string }
}

export async function createResultTables(
  session: Session,
  statements: Statements,
  options: PostgresStoreOptions,
  { generation, ownerId }: { generation: number; ownerId: string },
): Promise<void> {
  for (const table of resultTables(statements, options.compiled)) {
    if (await isKnown(session, statements, options, table)) {
      await addMark(session, options, table)
      continue
    }
    for (const create of table.create) await session.query(create)
    await session.query(
      `INSERT INTO ${statements.table('aggregations')} (name, kind, identity, generation) VALUES ($1, $2, $3, $4)`,
      [table.name, table.kind, table.identity, generation],
    )
  }
  await setProjections(session, statements, options.compiled, ownerId)
  await createRetentionIndexes(session, statements, options.compiled)
}

function resultTables(statements: Statements, compiled: CompiledSpec): ResultTable[] {
  const aggregations = compiled.aggregations.map((a): ResultTable => {
    const { create, addMark, markPartial } = aggregateStatements(statements, a, compiled.fields)
    const mark = { column: a.mark, add: addMark, repair: markPartial }
    return { name: a.name, kind: 'aggregation', identity: a.identity, create, mark }
  })
  const { raw } = compiled.spec
  if (!raw) return aggregations
  const { create } = rawStatements(statements, raw.table, compiled.fields)
  return [...aggregations, { name: raw.table, kind: 'raw', identity: rawIdentity(compiled), create: [create] }]
}

/** Returns a hash of where each column of the raw table comes from. */
function rawIdentity({ fields }: CompiledSpec): string {
  const columns = fields.map(f => [f.name, f.type, f.path.join('.'), f.line])
  return createHash('sha256').update(JSON.stringify(columns)).digest('hex')
}

async function isKnown(
  session: Session,
  { table }: Statements,
  { schema }: PostgresStoreOptions,
  { name, kind, identity }: ResultTable,
): Promise<boolean> {
  const known = await session.query<{ kind: ResultTable['kind']; identity: string; generation: number }>(
    `SELECT kind, identity, generation FROM ${table('aggregations')} WHERE name = $1`,
    [name],
  )
  const row = known.rows[0]
  if (row && (row.kind !== kind || row.identity !== identity))
    throw new Fatal(
      'AggregationChanged',
      `${describeChange(row.kind, kind, name)}. The earlier spec is generation ${row.generation} in table specs. Give ${name} a new name in the spec, or ${START_OVER}`,
    )
  if (row) return true
  const { rows } = await session.query(
    `SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2`,
    [schema, name],
  )
  if (rows.length > 0)
    throw new Fatal(
      'SchemaOwnedByOther',
      `schema ${schema} has a table ${name} that the pipeline did not create. Delete the table ${name}, or give the ${kind} another name in the spec`,
    )
  return false
}

/** Adds the mark to a table of release 0.3.0, or sets it in rows that this release created after a rollback. */
async function addMark(session: Session, { schema }: PostgresStoreOptions, { name, mark }: ResultTable): Promise<void> {
  if (!mark) return
  const { rows } = await session.query(
    `SELECT FROM pg_attribute WHERE attrelid = to_regclass($1) AND attname = $2 AND NOT attisdropped`,
    [`${quoted(schema)}.${quoted(name)}`, mark.column],
  )
  if (rows.length === 0) await session.query(mark.add)
  else await session.query(mark.repair, [name])
}

const NOUN = { aggregation: 'an aggregation', raw: 'the raw table' }

function describeChange(before: ResultTable['kind'], now: ResultTable['kind'], name: string): string {
  if (before !== now) return `${name} is stored as ${NOUN[before]}, but in the spec it is ${NOUN[now]}`
  if (now === 'raw')
    return `raw table ${name}: the names, types or paths of the event fields in the spec differ from those of the stored rows`
  return `aggregation ${name}: the window, groupBy, measures or event fields in the spec differ from those of the stored rows`
}

/**
 * Enqueues all rows of an aggregation whose index is new; removes the entries of one that is no longer projected. A
 * release up to 0.3.0 stored the index alone, so the first open of a later one enqueues all rows under their new ids.
 * Then workers of the old release find no work for their projector, and tombstones stay for the documents that it wrote.
 */
async function setProjections(
  session: Session,
  statements: Statements,
  compiled: CompiledSpec,
  ownerId: string,
): Promise<void> {
  const { table } = statements
  const projections = projectionsOf(compiled)
  const { rows } = await session.query<{ name: string; projection: string | null }>(
    `SELECT name, projection FROM ${table('aggregations')} WHERE kind = 'aggregation' ORDER BY name`,
  )
  for (const { name, projection } of rows) {
    const index = projections.get(name) ?? null
    const target = index === null ? null : projectionTarget(index, ownerId)
    if (target === projection) continue
    const replacing = index !== null && index === projection
    // Commits in progress do not enqueue for the new projection, so their rows must be stored before all are listed.
    await session.query(`LOCK TABLE ${table(name)} IN SHARE ROW EXCLUSIVE MODE`)
    const change = `UPDATE ${table('aggregations')} SET projection = $2, rebuild_rows = NULL, rebuild_after = NULL,
      replacing = $3,
      inherited = CASE WHEN $3 THEN projection ELSE inherited END WHERE name = $1`
    await session.query(change, [name, target, replacing])
    const tombstones = 'removed_version IS NOT NULL'
    const obsolete = `DELETE FROM ${table('outbox')} WHERE aggregation = $1 AND NOT ($2 AND ${tombstones})`
    await session.query(obsolete, [name, replacing])
    await session.query(`DELETE FROM ${table('projection_errors')} WHERE aggregation = $1`, [name])
    const aggregation = compiled.aggregations.find(a => a.name === name)
    if (aggregation && index !== null)
      await session.query(aggregateStatements(statements, aggregation, compiled.fields).enqueueAll, [name])
  }
}

/** Retention finds rows by time. Table names contain no dot, so an index name with a dot is free. */
async function createRetentionIndexes(session: Session, { table }: Statements, { spec }: CompiledSpec): Promise<void> {
  const aged: [string, string, number | undefined][] = [
    ['late_events', 'event_time', spec.lateEvents.retention],
    ['dead_letters', 'record_timestamp', spec.deadLetters.retention],
  ]
  if (spec.raw) aged.push([spec.raw.table, 'event_time', spec.raw.retention])
  for (const [name, column, retention] of aged)
    if (retention !== undefined)
      await session.query(`CREATE INDEX IF NOT EXISTS ${quoted(`${name}.age`)} ON ${table(name)} (${quoted(column)})`)
}
