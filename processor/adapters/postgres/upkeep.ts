/**
 * Upkeep of the whole pipeline by the worker that holds the lease: watermark → failover → rebuilds → finality → retention
 * → outbox compaction. Each step is its own transaction and acquires the lease again, so no lock is held for long.
 */
import type { CompiledAggregation, CompiledSpec } from '#pipeline/compiled-spec.ts'
import type { PipelineClock } from '#processor/ports.ts'
import { projectionsOf } from '../projected-row.ts'
import type { AggregateStatements } from './aggregate-statements.ts'
import type { Connections, Session } from './connections.ts'
import type { Statements } from './statements.ts'
import { timestampText } from './values.ts'

export type UpkeepContext = {
  connections: Connections
  statements: Statements
  aggregates: AggregateStatements[]
  compiled: CompiledSpec
  generation: number
  /** Names the lease. */
  schema: string
}

/** Rows that one transaction locks at most; commits to these rows wait for it. */
const BATCH_ROWS = 2000
/** Batches of one kind per call; the next call processes the rest. */
const MAX_BATCHES = 25
/** Rows of a rebuild that may wait to be projected, because newer rows wait behind them. */
const MAX_LISTED = 20_000
/** More new entries, or more rows in them, than this are merged. */
const COMPACT_ABOVE = [1000, 100_000]

/** Resolves with null if another worker holds the lease or a newer generation exists, which then decides finality. */
export async function advance(context: UpkeepContext): Promise<PipelineClock | null> {
  const clock = await leased(context, session => advanceWatermark(session, context))
  if (!clock) return null
  await reprojectAfterFailover(context)
  await listRebuilds(context)
  const { watermark, everywhere } = clock
  let finalised = 0
  let removed = 0
  if (watermark !== null) finalised = await finalise(context, watermark)
  if (everywhere !== null)
    removed = (await removeRows(context, everywhere)) + (await removeRecords(context, everywhere))
  await compact(context)
  return { watermark, finalised, removed }
}

/** Runs `work` under the lease; resolves with null, without running it, if another worker holds the lease. */
function leased<T>(context: UpkeepContext, work: (session: Session) => Promise<T>): Promise<T | null> {
  return context.connections.transaction(session => underLease(session, context, work))
}

async function underLease<T>(
  session: Session,
  { statements, schema }: UpkeepContext,
  work: (session: Session) => Promise<T>,
): Promise<T | null> {
  const { rows } = await session.query<{ held: boolean }>(statements.tryLock, [`sales-pipeline upkeep ${schema}`])
  return rows[0]!.held ? work(session) : null
}

type Watermarks = { watermark: number | null; everywhere: number | null }

async function advanceWatermark(
  session: Session,
  { statements, compiled, generation }: UpkeepContext,
): Promise<Watermarks | null> {
  const { outOfOrderness, idle, idleTimeout, sources } = compiled.spec.watermark
  const trailing = idle === 'advance' ? outOfOrderness + idleTimeout : null
  const values = [outOfOrderness, generation, trailing, sources !== undefined]
  const { rows } = await session.query<Watermarks>(statements.advanceWatermark, values)
  return rows[0] ?? null
}

/**
 * After a failover or a restore, sinks may show rows that PostgreSQL lost. So all rows are projected again (section 4),
 * with new versions, because a sink keeps the newest version that it has.
 */
async function reprojectAfterFailover(context: UpkeepContext): Promise<void> {
  const { connections, statements, aggregates, compiled } = context
  const { rows } = await connections.query<{ moved: boolean }>(statements.serverChanged)
  if (!rows[0]?.moved) return
  const projected = projectionsOf(compiled)
  await connections.longTransaction(session =>
    underLease(session, context, async () => {
      for (const [i, { name }] of compiled.aggregations.entries())
        if (projected.has(name)) await session.query(aggregates[i]!.beginRebuild, [name, true])
      await session.query(statements.noteServer)
    }),
  )
}

type Listing = { name: string; after: string[]; waiting: number }

/**
 * Gives the rows of rebuilds new versions, because the sink may remember the version at which a document was deleted. Each
 * batch is stored with the place where the next one begins, so that any worker continues after a crash.
 */
async function listRebuilds(context: UpkeepContext): Promise<void> {
  const { connections, statements, compiled } = context
  const { rows } = await connections.query<Listing>(statements.listing)
  const known = rows.filter(({ name }) => compiled.aggregations.some(aggregation => aggregation.name === name))
  for (const listing of known)
    for (let batch = 0, goesOn = true; goesOn && batch < MAX_BATCHES; batch++)
      goesOn = (await leased(context, session => listBatch(session, context, listing.name))) ?? false
}

/** Resolves with whether rows may be left. */
async function listBatch(session: Session, context: UpkeepContext, name: string): Promise<boolean> {
  const { statements, compiled, aggregates } = context
  const { rows } = await session.query<Listing>(statements.listing)
  const listing = rows.find(row => row.name === name)
  if (!listing || listing.waiting >= MAX_LISTED) return false
  const { after } = listing
  const { continueRebuild } = aggregates[compiled.aggregations.findIndex(aggregation => aggregation.name === name)]!
  const values = [name, BATCH_ROWS, ...(after.length === 0 ? [] : [JSON.stringify(after)])]
  const listed = await session.query<{ finished: boolean }>(continueRebuild(after.length === 0), values)
  return listed.rows[0]?.finished !== true
}

/** Returns the newest window start whose window closed at least `ms` before the watermark; its end is start + size. */
const closedBefore = ({ window }: CompiledAggregation, watermark: number, ms: number) =>
  timestampText(watermark - ms - window!.size)

async function finalise(context: UpkeepContext, watermark: number): Promise<number> {
  return sum(context.compiled.aggregations, (aggregation, i) => {
    const { window, allowedLateness } = aggregation
    if (window === null || !Number.isFinite(allowedLateness)) return Promise.resolve(0) // its windows never close
    const before = closedBefore(aggregation, watermark, allowedLateness)
    return inBatches(context, context.aggregates[i]!.finalise, [before, BATCH_ROWS, aggregation.name])
  })
}

async function removeRows(context: UpkeepContext, everywhere: number): Promise<number> {
  return sum(context.compiled.aggregations, (aggregation, i) => {
    if (aggregation.window === null || aggregation.retention === undefined) return Promise.resolve(0)
    const before = closedBefore(aggregation, everywhere, Math.max(aggregation.retention, aggregation.allowedLateness))
    return inBatches(context, context.aggregates[i]!.remove, [before, BATCH_ROWS, aggregation.name])
  })
}

async function removeRecords(context: UpkeepContext, everywhere: number): Promise<number> {
  const { statements } = context
  const { raw, lateEvents, deadLetters } = context.compiled.spec
  const late = statements.removeOld('late_events', 'event_time', ['partition', 'record_offset', 'aggregation'])
  const sales = raw && statements.removeOld(raw.table, 'event_time', ['partition', 'record_offset', 'line'])
  const kinds: [string | undefined, number | undefined][] = [
    [late, lateEvents.retention],
    [statements.removeOldDead, deadLetters.retention],
    [sales, raw?.retention],
  ]
  return sum(kinds, ([text, retention]) => {
    if (text === undefined || retention === undefined) return Promise.resolve(0)
    return inBatches(context, text, [timestampText(everywhere - retention), BATCH_ROWS])
  })
}

/** Merges entries of a large outbox, which has grown while a sink was unavailable, so that each row is listed once. */
async function compact(context: UpkeepContext): Promise<void> {
  const { connections, statements } = context
  const { rows } = await connections.query<{ aggregation: string }>(statements.needCompaction, COMPACT_ABOVE)
  if (rows.length === 0) return
  await connections.longTransaction(session =>
    underLease(session, context, async () => {
      for (const { aggregation } of rows) await session.query(statements.compact, [aggregation])
    }),
  )
}

/** Repeats a statement that changes at most BATCH_ROWS rows until it changes fewer; resolves with the total. */
async function inBatches(context: UpkeepContext, text: string, values: unknown[]): Promise<number> {
  let total = 0
  for (let batch = 0; batch < MAX_BATCHES; batch++) {
    const changed = await leased(context, async session => {
      const { rows, rowCount } = await session.query<{ rows: number }>(text, values)
      return rows[0]?.rows ?? rowCount ?? 0
    })
    total += changed ?? 0
    if (changed === null || changed < BATCH_ROWS) break
  }
  return total
}

async function sum<T>(items: T[], count: (item: T, i: number) => Promise<number>): Promise<number> {
  let total = 0
  for (const [i, item] of items.entries()) total += await count(item, i)
  return total
}
