/** Finds the owner of a schema, which the single row of its table `pipeline` names. */
import type { Ownership } from '#processor/ports.ts'
import type { Session } from './connections.ts'
import type { Statements } from './statements.ts'

/**
 * `owner`: namespace/name of the pipeline, null if no pipeline created the schema. `ownerId`: null if a release up to
 * 0.3.0 created it and no later one has opened it.
 */
export type FoundSchema = { relations: string[]; owner: string | null; ownerId: string | null }

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
  if (!relations.includes('migrations') || !relations.includes('pipeline'))
    return { relations, owner: null, ownerId: null }
  // Reads the row as JSON, because somebody else's table of this name may not have the column.
  const { rows } = await session.query<Omit<FoundSchema, 'relations'>>(
    `SELECT to_jsonb(p) ->> 'owner' AS owner, to_jsonb(p) ->> 'owner_id' AS "ownerId" FROM ${table('pipeline')} p`,
  )
  return { relations, owner: rows[0]?.owner ?? null, ownerId: rows[0]?.ownerId ?? null }
}

/** Returns the owner of outside data. Without an id it owns nothing, because no mark or document has this owner. */
export const outsideOwner = (owner: string, ownerId: string | null) => `${owner}/${ownerId ?? ''}`

/** `replacing`: aggregations whose documents of a release up to 0.3.0 are still to be removed. */
export type StoredOwnership = { ownership: Ownership; replacing: Set<string> }

/** `owner`: the owner of outside data. */
export async function readOwnership(session: Session, { table }: Statements, owner: string): Promise<StoredOwnership> {
  const { rows } = await session.query<{ name: string; inherited: string | null; replacing: boolean }>(
    `SELECT name, inherited, replacing FROM ${table('aggregations')}`,
  )
  return {
    ownership: { owner, inherited: rows.flatMap(({ inherited }) => inherited ?? []) },
    replacing: new Set(rows.filter(({ replacing }) => replacing).map(({ name }) => name)),
  }
}
