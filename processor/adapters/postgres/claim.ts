/** Claims partitions and inspects their progress. */
import { randomUUID } from 'node:crypto'
import type { Claim, Progress, SpecSegment } from '#processor/core/claim.ts'
import { Fatal } from '#processor/errors.ts'
import type { Connections, Session } from './connections.ts'
import { isLockTimeout } from './errors.ts'
import { type Awaiting, markGaps, type PartialContext } from './partial.ts'
import type { Statements } from './statements.ts'

export type ClaimContext = PartialContext & {
  connections: Connections
  /** Filled by each claim. */
  awaiting: Map<number, Awaiting>
  topicId: string
  generation: number
  specIdentity: string
  applicationPrefix: string
}

type ProgressRow = {
  partition: number
  epoch: number
  token: string
  next_offset: number
  next_line: number
  restore_offset: number
  restore_max_event_time: number | null
  max_event_time: number | null
  sources: string | null
  leader_epoch: number | null
}

/** Claims a partition in one transaction: epoch + 1, new token. Later commits of the previous owner are fenced. */
export async function claim(context: ClaimContext, partition: number, start: number): Promise<Claim> {
  try {
    return await claimRow(context, partition, start)
  } catch (error) {
    // The previous owner's backend may hold the row's lock while its worker is stopped, or while a standby is silent.
    if (!isLockTimeout(error) || !(await endLockHolder(context, partition))) throw error
    return await claimRow(context, partition, start)
  }
}

async function claimRow(context: ClaimContext, partition: number, start: number): Promise<Claim> {
  const { connections, statements, generation, specIdentity } = context
  const { backendPid } = await connections.committer()
  return connections.transaction(async session => {
    const values = [partition, randomUUID(), generation, backendPid, start, specIdentity]
    const { rows } = await session.query<ProgressRow>(statements.claim, values)
    if (!rows[0])
      throw new Fatal(
        'GenerationOutdated',
        `partition ${partition}: this worker runs generation ${generation} of the spec, but PostgreSQL has ${await currentSpec(session, context)}. On Kubernetes the rollout replaces this worker; otherwise, restart it with the current spec`,
      )
    const progress = progressOf(rows[0])
    const noted = [partition, progress.nextOffset, generation, progress.maxEventTime]
    const { rowCount } = await session.query(statements.noteGeneration, noted)
    const mayEndGap = rowCount !== 0 || (progress.maxEventTime === null && progress.nextOffset > 0)
    context.awaiting.set(partition, mayEndGap ? await markGaps(session, context, partition) : new Map())
    const known = await segments(session, statements, progress)
    return {
      ...progress,
      segments: known,
      finishesRecord: known.at(-1)!.generation !== generation,
      rejectedOffsets: await rejectedOffsets(session, context, progress),
    }
  })
}

/** A schema that was removed and created again counts from 1, so an equal generation may be another spec. */
async function currentSpec(session: Session, { statements, generation }: ClaimContext): Promise<string> {
  const { rows } = await session.query<{ generation: number | null }>(statements.currentGeneration)
  const found = rows[0]?.generation
  if (found === generation) return `generation ${found} with another spec or without this partition`
  return found ? `generation ${found}` : 'no generation'
}

async function segments(session: Session, statements: Statements, progress: Progress): Promise<SpecSegment[]> {
  const { rows } = await session.query<{ from_offset: number; generation: number; document: string }>(
    statements.segments,
    [progress.partition, progress.restoreOffset],
  )
  return rows.map(row => ({ fromOffset: row.from_offset, generation: row.generation, specJson: row.document }))
}

async function rejectedOffsets(session: Session, context: ClaimContext, progress: Progress): Promise<number[]> {
  const { rows } = await session.query<{ record_offset: number }>(context.statements.rejectedOffsets, [
    context.topicId,
    progress.partition,
    progress.restoreOffset,
  ])
  return rows.map(row => row.record_offset)
}

/** Resolves with true if it ended a backend. It ends only this pipeline's, because process ids are reused. */
async function endLockHolder(
  { connections, statements, applicationPrefix }: ClaimContext,
  partition: number,
): Promise<boolean> {
  const { rows } = await connections.query<{ ended: boolean }>(statements.endHolder, [partition, applicationPrefix])
  return rows.some(row => row.ended)
}

/** Reads progress rows under their locks, so that transactions in progress have finished. */
export async function inspect({ connections, statements }: ClaimContext, partitions: number[]): Promise<Progress[]> {
  return connections.transaction(async session => {
    const { rows } = await session.query<ProgressRow>(statements.inspect, [partitions])
    return rows.map(progressOf)
  })
}

function progressOf(row: ProgressRow): Progress {
  return {
    partition: row.partition,
    epoch: row.epoch,
    token: row.token,
    nextOffset: row.next_offset,
    nextLine: row.next_line,
    restoreOffset: row.restore_offset,
    restoreMaxEventTime: row.restore_max_event_time,
    maxEventTime: row.max_event_time,
    sources: row.sources,
    leaderEpoch: row.leader_epoch,
  }
}
