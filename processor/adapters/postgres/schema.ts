/**
 * Opens a pipeline's schema in one transaction under one lock, so that workers can start at the same time:
 * ownership → migrations → topic → the spec's generation → result tables → partitions.
 */
import { readFileSync } from 'node:fs'
import { START_OVER } from '#pipeline/start-over.ts'
import { Fatal } from '#processor/errors.ts'
import type { Opened, Topic } from '#processor/ports.ts'
import type { Session } from './connections.ts'
import type { PostgresStoreOptions } from './options.ts'
import { findSchema, lockSchema, outsideOwner, readOwnership, type StoredOwnership } from './ownership.ts'
import { createResultTables } from './result-tables.ts'
import { quoted, SERVER, type Statements } from './statements.ts'

/**
 * Applied in order, each once. A migration only adds, because a worker of the previous release must still be able to
 * run on the new schema. A migration of the next release removes what is no longer needed.
 */
const MIGRATIONS = ['001-tables.sql', '002-expelled.sql']

/**
 * Migrations that every earlier release ignores, so that a rollback works. They are recorded as version −1, −2 …, because a
 * release refuses a schema whose greatest version it does not know.
 */
const ADDITIONS = [
  'addition-1-owner.sql',
  'addition-2-rebuild.sql',
  'addition-3-partial.sql',
  'addition-4-detail.sql',
  'addition-5-readers.sql',
  'addition-6-lease.sql',
  'addition-7-lines.sql',
  'addition-8-sources.sql',
  'addition-9-rebuild-batches.sql',
]

export async function openSchema(
  session: Session,
  statements: Statements,
  options: PostgresStoreOptions,
  topic: Topic,
): Promise<Omit<Opened, 'ownership'> & StoredOwnership> {
  await lockSchema(session, options.schema)
  await ensureOwnSchema(session, statements, options)
  await migrate(session, statements, options)
  const { watermark, firstPartitions, ownerId } = await registerPipeline(session, statements, options, topic)
  const generation = await registerSpec(session, statements, options)
  await createResultTables(session, statements, options, { generation, ownerId })
  await addPartitions(session, statements, topic, firstPartitions)
  return {
    generation,
    firstPartitions,
    watermark,
    ...(await readOwnership(session, statements, outsideOwner(options.owner, ownerId))),
  }
}

/** The first claim sets the start of an initial partition; a partition that was added later is read from offset 0. */
async function addPartitions(
  session: Session,
  { table }: Statements,
  { partitions, topicId }: Topic,
  firstPartitions: number,
): Promise<void> {
  await session.query(
    `INSERT INTO ${table('progress')} (partition, topic_id, first_offset, next_offset, restore_offset)
     SELECT partition, $2, start, start, start
     FROM (SELECT partition, CASE WHEN partition >= $3::int THEN 0 END AS start
           FROM generate_series(0, $1::int - 1) AS partition) AS added
     ON CONFLICT DO NOTHING`,
    [partitions, topicId, firstPartitions],
  )
}

/** Creates the schema if it is missing. Throws Fatal SchemaOwnedByOther if it is neither empty nor this pipeline's. */
async function ensureOwnSchema(
  session: Session,
  statements: Statements,
  { schema, owner }: PostgresStoreOptions,
): Promise<void> {
  const found = await findSchema(session, statements, schema)
  if (!found) await session.query(`CREATE SCHEMA ${quoted(schema)}`)
  if (!found || found.relations.length === 0) return
  if (found.owner === null)
    throw new Fatal(
      'SchemaOwnedByOther',
      `schema ${schema} has tables that do not belong to a pipeline (${found.relations.slice(0, 3).join(', ')}). Set spec.sinks.postgres.schema to another schema`,
    )
  if (found.owner !== owner)
    throw new Fatal(
      'SchemaOwnedByOther',
      `schema ${schema} belongs to pipeline ${found.owner}. Set spec.sinks.postgres.schema to another schema`,
    )
}

async function migrate(session: Session, { table }: Statements, { schema }: PostgresStoreOptions): Promise<void> {
  await session.query(
    `CREATE TABLE IF NOT EXISTS ${table('migrations')}
       (version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT clock_timestamp())`,
  )
  const { rows } = await session.query<{ version: number }>(`SELECT version FROM ${table('migrations')}`)
  const present = new Set(rows.map(({ version }) => version))
  const newest = Math.max(0, ...present)
  if (newest > MIGRATIONS.length)
    throw new Fatal(
      'SchemaTooNew',
      `schema ${schema} has version ${newest}, but this release supports versions up to ${MIGRATIONS.length}. Run the release that created version ${newest}, or a newer one`,
    )
  const known = [...MIGRATIONS.map((file, i) => ({ file, version: i + 1 })), ...ADDITIONS.map(additionOf)]
  for (const { file, version } of known.filter(({ version }) => !present.has(version))) {
    const sql = readFileSync(new URL(`./sql/${file}`, import.meta.url), 'utf8')
    await session.query(`SET LOCAL search_path = ${quoted(schema)}`)
    await session.query(sql)
    await session.query(`SET LOCAL search_path = ''`)
    await session.query(`INSERT INTO ${table('migrations')} (version) VALUES ($1)`, [version])
  }
}

const additionOf = (file: string, i: number) => ({ file, version: -1 - i })

/** Registers the pipeline if it is new, and returns its stored values. Throws Fatal TopicReplaced. */
async function registerPipeline(
  session: Session,
  { table }: Statements,
  { owner }: PostgresStoreOptions,
  topic: Topic,
): Promise<{ watermark: number | null; firstPartitions: number; ownerId: string }> {
  await session.query(
    `INSERT INTO ${table('pipeline')} (owner, topic, topic_id, first_partitions, server)
     VALUES ($1, $2, $3, $4, ${SERVER}) ON CONFLICT DO NOTHING`,
    [owner, topic.topic, topic.topicId, topic.partitions],
  )
  const { rows } = await session.query<PipelineRow>(
    `SELECT topic, topic_id, first_partitions, watermark, owner_id FROM ${table('pipeline')}`,
  )
  const stored = rows[0]!
  if (stored.topic_id !== topic.topicId)
    throw new Fatal(
      'TopicReplaced',
      `the stored results come from topic ${stored.topic} (id ${stored.topic_id}), but the topic is now ${topic.topic} (id ${topic.topicId}); create a pipeline with another name, or ${START_OVER}`,
    )
  return { watermark: stored.watermark, firstPartitions: stored.first_partitions, ownerId: stored.owner_id }
}

type PipelineRow = {
  topic: string
  topic_id: string
  first_partitions: number
  watermark: number | null
  owner_id: string
}

/** Returns the newest generation if it has this spec; otherwise registers a new one. */
async function registerSpec(session: Session, { table }: Statements, options: PostgresStoreOptions): Promise<number> {
  const { rows } = await session.query<{ generation: number; identity: string }>(
    `SELECT generation, identity FROM ${table('specs')} ORDER BY generation DESC LIMIT 1`,
  )
  const newest = rows[0]
  if (newest?.identity === options.specIdentity) return newest.generation
  const generation = (newest?.generation ?? 0) + 1
  await session.query(`INSERT INTO ${table('specs')} (generation, document, identity) VALUES ($1, $2, $3)`, [
    generation,
    options.pipelineJson,
    options.specIdentity,
  ])
  await session.query(`UPDATE ${table('pipeline')} SET generation = $1`, [generation])
  return generation
}
