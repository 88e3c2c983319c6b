/** Finds the owner of a schema, which the single row of its table `pipeline` names. */
import type { Session } from './connections.ts'
import type { Statements } from './statements.ts'

/** `owner`: namespace/name of the pipeline, null if no pipeline created the schema. */
export type FoundSchema = { relations: string[]; owner: string | null }

/** Locks the schema until the end of the transaction, so that nobody else opens or removes it. */
export async function lockSchema(session: Session, schema: string): Promise<void> {
  await session.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`sales-pipeline open ${schema}`])
}

/** Returns null if there is no such schema. */
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
  // Reads the row as JSON, because somebody else's table of this name may not have the column.
  const { rows } = await session.query<{ owner: string | null }>(
    `SELECT to_jsonb(p) ->> 'owner' AS owner FROM ${table('pipeline')} p`,
  )
  return { relations, owner: rows[0]?.owner ?? null }
}
