/**
 * Grants the roles of spec.sinks.postgres.readers access to the results: the tables of aggregations, also of those that the
 * spec no longer has, the raw table, and views in the schema. Other tables have raw payloads or progress, and stay private.
 */
import pg from 'pg'
import { Retryable } from '#processor/errors.ts'
import type { Connections, Session } from './connections.ts'
import { storeError } from './errors.ts'
import { lockSchema } from './ownership.ts'
import { quoted, type Statements } from './statements.ts'

type Wanted = { schema: string; roles: readonly string[] }

/**
 * `owns`: the role is the user of the pipeline, or owns what it reads. Without its own privileges a pipeline would stop, so
 * nothing is granted to such a role or revoked from it. `noted`: the pipeline revokes from it when it is no longer listed.
 * `lacking`: results that the role may not read yet.
 */
type Reader = {
  role: string
  listed: boolean
  noted: boolean
  exists: boolean
  owns: boolean
  usage: boolean
  lacking: string[]
}

const FIELD = 'spec.sinks.postgres.readers'

/** Resolves with null if all listed roles can read the results, otherwise with the reasons. Changes only what differs. */
export function grantReaders(connections: Connections, statements: Statements, wanted: Wanted): Promise<string | null> {
  return connections.transaction(async session => {
    const before = await readersOf(session, statements, wanted)
    if (isDone(before)) return problemOf(before)
    // Two transactions that change the privileges of one table fail. So does a change while another worker opens the schema.
    await lockSchema(session, wanted.schema)
    return reconcile(session, statements, wanted)
  })
}

async function reconcile(session: Session, statements: Statements, wanted: Wanted): Promise<string | null> {
  const readers = (await readersOf(session, statements, wanted)).filter(({ exists, owns }) => exists && !owns)
  const refused = new Set<string>()
  for (const reader of readers)
    if (!(await change(session, statements, wanted.schema, reader))) refused.add(reader.role)
  const noted = readers.filter(({ role, listed }) => listed || refused.has(role)).map(({ role }) => role)
  await session.query(`UPDATE ${statements.table('pipeline')} SET readers = $1 WHERE readers <> $1`, [noted])
  const after = await readersOf(session, statements, wanted)
  // Without a grant option, PostgreSQL grants nothing and only warns.
  const missed = after
    .filter(r => refused.has(r.role) || (isGrantable(r) && isLacking(r)))
    .map(({ role }) => `"${role}"`)
  if (missed.length === 0) return problemOf(after)
  const { schema } = wanted
  return `${FIELD}: the user of the pipeline must not change the access of ${missed.join(', ')} to schema ${schema}. Let the owner of schema ${schema} grant or revoke USAGE on it, and SELECT on its results, or make the user of the pipeline the owner`
}

/** Resolves with false, and changes nothing, if PostgreSQL refuses. Other roles do not depend on this one. */
async function change(session: Session, statements: Statements, schema: string, reader: Reader): Promise<boolean> {
  await session.query('SAVEPOINT reader')
  try {
    await (reader.listed ? grant : revoke)(session, statements, schema, reader)
    return true
  } catch (error) {
    // Whatever PostgreSQL refuses here keeps dashboards from the results, but not the results from being right.
    if (!(error instanceof pg.DatabaseError) || storeError(error, '') instanceof Retryable) throw error
    await session.query('ROLLBACK TO SAVEPOINT reader')
    return false
  }
}

const isGrantable = ({ listed, exists, owns }: Reader) => listed && exists && !owns
const isLacking = ({ usage, lacking }: Reader) => !usage || lacking.length > 0
const isDone = (readers: Reader[]) => readers.every(r => r.listed && (!isGrantable(r) || (r.noted && !isLacking(r))))

function problemOf(readers: Reader[]): string | null {
  const problems = readers.flatMap(({ role, exists, owns }) => {
    if (!exists)
      return `${FIELD}: role "${role}" does not exist. Create it in PostgreSQL (CREATE ROLE ${quoted(role)} LOGIN), or remove it from the list`
    if (owns) return `${FIELD}: role "${role}" owns the results, so it can already read them. Remove it from the list`
    return []
  })
  return problems.length > 0 ? problems.join('; ') : null
}

async function grant(session: Session, { table }: Statements, schema: string, reader: Reader): Promise<void> {
  const role = quoted(reader.role)
  if (!reader.usage) await session.query(`GRANT USAGE ON SCHEMA ${quoted(schema)} TO ${role}`)
  if (reader.lacking.length > 0)
    await session.query(`GRANT SELECT ON ${reader.lacking.map(table).join(', ')} TO ${role}`)
}

async function revoke(session: Session, { table }: Statements, schema: string, reader: Reader): Promise<void> {
  const { rows } = await session.query<{ names: string[] }>(`SELECT array(${RESULTS(table)}) AS names`, [schema])
  const role = quoted(reader.role)
  if (rows[0]!.names.length > 0)
    await session.query(`REVOKE SELECT ON ${rows[0]!.names.map(table).join(', ')} FROM ${role}`)
  await session.query(`REVOKE USAGE ON SCHEMA ${quoted(schema)} FROM ${role}`)
}

/** Names of the relations with results that we may grant. $1 schema. */
const RESULTS = (table: Statements['table'], condition = 'true') => `
  SELECT c.relname::text FROM pg_class c
  WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) AND pg_has_role(c.relowner, 'USAGE')
    AND (c.relkind IN ('v', 'm')
      OR c.relkind IN ('r', 'p') AND EXISTS (SELECT FROM ${table('aggregations')} a WHERE a.name = c.relname))
    AND ${condition}
  ORDER BY c.relname`

const hasPrivilege = (acl: string, privilege: string) =>
  `EXISTS (SELECT FROM aclexplode(${acl}) g WHERE g.grantee = r.oid AND g.privilege_type = '${privilege}')`

/** Resolves with the listed roles, and with those that were granted access and are no longer listed. */
async function readersOf(session: Session, { table }: Statements, { schema, roles }: Wanted): Promise<Reader[]> {
  const { rows } = await session.query<Reader>(
    `SELECT w.role, w.role = ANY ($2::text[]) AS listed, w.role = ANY (p.readers) AS noted, r.oid IS NOT NULL AS exists,
       coalesce(r.rolname = current_user OR r.oid = n.nspowner
         OR EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = n.oid AND c.relowner = r.oid), false) AS owns,
       ${hasPrivilege('n.nspacl', 'USAGE')} AS usage,
       array(${RESULTS(table, `NOT ${hasPrivilege('c.relacl', 'SELECT')}`)}) AS lacking
     FROM ${table('pipeline')} p
     CROSS JOIN LATERAL (SELECT unnest($2::text[]) AS role UNION SELECT unnest(p.readers)) w
     CROSS JOIN pg_namespace n LEFT JOIN pg_roles r ON r.rolname = w.role
     WHERE n.nspname = $1 ORDER BY w.role`,
    [schema, roles],
  )
  return rows
}
