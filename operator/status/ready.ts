/** The conditions Ready, Progressing, Reconciling and Stalled. Pure. */
import { byCause, CONDITIONS, type ConditionInfo, INFORMATIONAL, type ReportedCode } from '#pipeline/conditions.ts'
import type { Trouble } from '../observe/pods.ts'
import type { WorkerReport } from '../observe/report.ts'
import { readyText, type StatusInput, type Verdict } from './input.ts'
import type { Rollout } from './rollout.ts'

type Readiness = Record<'Ready' | 'Progressing' | 'Reconciling' | 'Stalled', Verdict | null>

export function readiness(input: StatusInput, rollout: Rollout): Readiness {
  const cause = causeOf(input, rollout)
  const ready = cause ? ({ status: 'False', ...cause } as const) : withoutFault(input, rollout)
  // A deletion is no rollout, and clients see it from metadata.deletionTimestamp.
  if (isDeletion(input)) return { Ready: ready, Progressing: null, Reconciling: null, Stalled: null }
  const stalled = stalledBy(cause, rollout)
  return {
    Ready: ready,
    Progressing: progressing(input, rollout, stalled),
    Reconciling: reconciling(input, rollout, stalled, ready),
    Stalled: stalled,
  }
}

const isDeletion = ({ obstacle }: StatusInput) => ['Deleting', 'DeletionWaits'].includes(obstacle?.reason ?? '')

const isPaused = ({ workers }: StatusInput) => workers.desired === 0

/** What keeps results from reaching every sink; null if nothing is known to. */
function causeOf(input: StatusInput, rollout: Rollout): Trouble | null {
  if (input.obstacle) return input.obstacle
  if (isPaused(input)) return { reason: 'Paused', message: 'paused: spec.workers.replicas is 0' }
  const root = rootOf(input, rollout)
  if (root) return root
  return input.workers.ready === 0 ? { reason: 'WorkersStarting', message: readyText(input) } : null
}

/** The root cause of everything that workers report and that is wrong with their pods; the other reasons are appended. */
function rootOf({ reports, troubles }: StatusInput, { isInForce }: Rollout): Trouble | null {
  const all = [...reports.flatMap(blocking), ...troubles]
  // A rollout replaces the workers of the earlier spec, which report this until then.
  const [root, ...others] = byCause(all.filter(({ reason }) => isInForce || reason !== 'GenerationOutdated'))
  if (!root) return null
  const more = new Set(others.map(({ reason }) => reason))
  more.delete(root.reason)
  return more.size === 0 ? root : { ...root, message: `${root.message}. Also reported: ${[...more].join(', ')}` }
}

/** Conditions that a worker reports and that keep it from its work. */
export function blocking(report: WorkerReport): Trouble[] {
  return reportedBy(report)
    .filter(({ reason }) => !INFORMATIONAL.has(reason))
    .map(({ reason, message }) => ({ reason, message: `pod ${report.pod}: ${message}` }))
}

export const reportedBy = ({ conditions }: WorkerReport): Trouble[] =>
  Object.entries(conditions).map(([code, message]) => ({ reason: code as ReportedCode, message }))

/** Unknown, because the workers of the earlier generation may still deliver results. */
function withoutFault({ reports, previous, spec }: StatusInput, rollout: Rollout): Verdict {
  if (rollout.isOverdue) return { status: 'False', reason: 'ProgressDeadlineExceeded', message: overdue(rollout) }
  if (!rollout.isInForce) return { status: 'Unknown', reason: 'RollingOut', message: rollout.waitsFor }
  const hasSale = previous.firstResultAt !== undefined || reports.some(({ counters }) => counters.records > 0)
  const silent = `every partition of topic ${spec?.source.topic} has a worker, and every sink accepts results; no sale has arrived yet`
  return { status: 'True', reason: 'Streaming', message: hasSale ? 'results reach every sink' : silent }
}

const overdue = ({ waitsFor }: Rollout) => `${waitsFor}. This takes longer than 10 minutes`

/** Waiting does not help. A rollout that only takes long is stalled after the deadline. */
function stalledBy(cause: Trouble | null, rollout: Rollout): Verdict | null {
  const known: Partial<Record<string, ConditionInfo>> = CONDITIONS
  if (cause && known[cause.reason]?.types.includes('Stalled')) return { status: 'True', ...cause }
  if (!rollout.isOverdue || cause?.reason === 'Paused') return null
  return { status: 'True', reason: 'ProgressDeadlineExceeded', message: overdue(rollout) }
}

function progressing(input: StatusInput, { isInForce, waitsFor }: Rollout, stalled: Verdict | null): Verdict {
  const { generation } = input
  if (isInForce) return { status: 'True', reason: 'GenerationInForce', message: `generation ${generation} is in force` }
  if (isPaused(input)) return { status: 'Unknown', reason: 'Paused', message: 'paused: spec.workers.replicas is 0' }
  if (!stalled) return { status: 'True', reason: 'RollingOut', message: waitsFor }
  const reason = stalled.reason === 'ProgressDeadlineExceeded' ? stalled.reason : 'RolloutStalled'
  return { status: 'False', reason, message: stalled.message }
}

/** Present only during a rollout, as kstatus expects. */
function reconciling(input: StatusInput, rollout: Rollout, stalled: Verdict | null, ready: Verdict): Verdict | null {
  if (rollout.isInForce || stalled || isPaused(input)) return null
  return { status: 'True', reason: 'RollingOut', message: ready.status === 'False' ? ready.message : rollout.waitsFor }
}
