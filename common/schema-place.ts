/** Finds the PostgreSQL schema of a pipeline, for all programs that read or write it. */
import type { SchemaNames } from '#pipeline/identity.ts'

type Query = (text: string) => Promise<{ rows: Record<string, unknown>[] }>

/** Locates the schema once, for programs that wait until it exists. */
export class SchemaPlace {
  readonly #names: SchemaNames
  #located: string | null = null

  constructor(names: SchemaNames) {
    this.#names = names
  }

  /** Name of the schema; the one that a new schema gets until `locate` has ended. */
  get name(): string {
    return this.#located ?? this.#names.name
  }

  async locate(query: Query): Promise<void> {
    this.#located ??= await locateSchema(query, this.#names)
  }
}

/**
 * Resolves with the former name if a schema of that name has this pipeline as its owner: a release up to 0.3.0 created it.
 * Otherwise with the name that a new schema gets.
 */
export async function locateSchema(query: Query, { name, former, owner }: SchemaNames): Promise<string> {
  if (former === null) return name
  const table = `"${former}".pipeline`
  const { rows } = await query(`SELECT to_regclass('${table}') IS NOT NULL AS found`)
  if (!rows[0]?.found) return name
  // Reads the row as JSON, because somebody else's table of this name may not have the column.
  const found = await query(`SELECT to_jsonb(p) ->> 'owner' AS owner FROM ${table} p LIMIT 1`)
  return found.rows[0]?.owner === owner ? former : name
}
