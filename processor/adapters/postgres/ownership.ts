/** Whose a schema is: said by the one row of its table `pipeline`. */
import type { Session } from './connections.ts'
import type { Statements } from './statements.ts'

/** `owner`: namespace/name of the pipeline; null: none made it. */
export type FoundSchema = { relations: string[]; owner: string | null }

/** To the end of the transaction: nobody else opens or removes the schema meanwhile. */
export async function lockSchema(session: Session, schema: string): Promise<void> {
  await session.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`sales-pipeline open ${schema}`])
}

/** Null: there is none. */
export async function findSchema(session: Session, { table }: Statements, schema: string): Promise<FoundSchema | null> {
  const found = await session.query<{ relations: string[] }>(
    `SELECT array(SELECT relname::text FROM pg_class
       WHERE relnamespace = n.oid AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S')) AS relations
     FROM pg_namespace n WHERE nspname = $1`,
    [schema],
  )
  const relations = found.rows[0]?.relations
  if (!relations) return null
  if (!relations.includes('migrations') || !relations.includes('pipeline')) return { relations, owner: null }
  // As JSON: a table of that name that somebody else made need not have the column.
  const { rows } = await session.query<{ owner: string | null }>(
    `SELECT to_jsonb(p) ->> 'owner' AS owner FROM ${table('pipeline')} p`,
  )
  return { relations, owner: rows[0]?.owner ?? null }
}
