/** Whether the newest generation of the spec is in force (docs/semantics.md, section 12). Pure. */
import { type Status, type StatusInput, sinksOf } from './input.ts'

/** As progressDeadlineSeconds of a Deployment: a rollout that takes longer is reported as stalled. */
const DEADLINE_MS = 600_000
/** Partitions that are named in a message. */
const MAX_NAMED = 5

export type Rollout = {
  isInForce: boolean
  /** What the generation waits for; empty when it is in force. */
  waitsFor: string
  /** It has not come into force within the deadline. */
  isOverdue: boolean
}

export function rolloutOf(input: StatusInput): Rollout {
  const waitsFor = wasInForce(input) ? '' : missingProof(input)
  const isInForce = waitsFor === ''
  return { isInForce, waitsFor, isOverdue: !isInForce && isOverdue(input) }
}

/** Once in force, a generation stays so: a partition that moves, or a pod that is replaced, is no rollout. */
function wasInForce({ previous, generation }: StatusInput): boolean {
  const before = previous.conditions?.find(({ type }) => type === 'Progressing')
  return before?.reason === 'GenerationInForce' && before.observedGeneration === generation
}

function missingProof(input: StatusInput): string {
  const { generation, current, workers } = input
  const missing = [...unclaimed(input), ...silentSinks(input)]
  if (input.obstacle) missing.unshift('the spec is not applied')
  if (missing.length === 0) return ''
  const pods = `${current.size} of ${workers.replicas} pods run its spec`
  return `generation ${generation} is not in force yet: ${pods}; ${missing.join('; ')}`
}

const currentReports = ({ reports, current }: StatusInput) => reports.filter(({ pod }) => current.has(pod))

function unclaimed(input: StatusInput): string[] {
  const reports = currentReports(input)
  const count = Math.max(0, ...reports.map(({ topicPartitions }) => topicPartitions))
  if (count === 0) return ['none of them has joined the consumer group yet']
  const claimed = new Set(reports.flatMap(({ proof }) => proof?.partitions ?? []))
  const waiting = Array.from({ length: count }, (_, partition) => partition).filter(p => !claimed.has(p))
  if (waiting.length === 0) return []
  const more = waiting.length > MAX_NAMED ? ` and ${waiting.length - MAX_NAMED} more` : ''
  const named = waiting.slice(0, MAX_NAMED).join(', ')
  return [
    `they have not claimed partitions ${named}${more}, or PostgreSQL has not accepted an empty commit for these yet`,
  ]
}

function silentSinks(input: StatusInput): string[] {
  const accepted = new Set(currentReports(input).flatMap(({ proof }) => proof?.sinks ?? []))
  const silent = sinksOf(input.spec).filter(sink => sink !== 'postgres' && !accepted.has(sink))
  return silent.map(sink => `sink ${sink} has not accepted their writes yet`)
}

function isOverdue(input: StatusInput): boolean {
  const { previous, generation, now } = input
  const of = (name: string) =>
    previous.conditions?.find(({ type, observedGeneration }) => type === name && observedGeneration === generation)
  if (of('Stalled')?.reason === 'ProgressDeadlineExceeded') return true
  const since = of('Reconciling')?.lastTransitionTime
  return since !== undefined && now - Date.parse(since) >= DEADLINE_MS
}

/** Returns the ms until the rollout is overdue; undefined while there is none. */
export function overdueIn({ conditions }: Status, now: number): number | undefined {
  const since = conditions.find(({ type }) => type === 'Reconciling')?.lastTransitionTime
  return since === undefined ? undefined : Math.max(0, Date.parse(since) + DEADLINE_MS - now)
}
