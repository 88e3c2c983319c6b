/** How the workers of a pipeline do: their pods, what they say of themselves, and the figures that follow. */
import { WORKER_PORT } from '#pipeline/limits.ts'
import type { Spec } from '#pipeline/schema.ts'
import type { Copies } from '../copies.ts'
import type { Owner } from '../desired/desired.ts'
import { keyOfOwner } from '../desired/names.ts'
import type { KubeObject } from '../kube/resources.ts'
import type { Clock } from '../ports.ts'
import { type Figures, figuresOf, UNKNOWN } from './figures.ts'
import { deadOf, type Seen, seenIn } from './members.ts'
import { isReady, statusOf } from './pods.ts'
import { type Address, askWorker, expelMember, type WorkerReport } from './report.ts'

export type Observation = { pods: KubeObject[]; reports: WorkerReport[]; figures: Figures }

/** Workers count and measure by the second: rates over less would be noise. */
const MEASURE_EVERY_MS = 4000
/** Of the workers that could remove a dead one: two are asked, then it waits for the next time. */
const ASKED_TO_EXPEL = 2

type Measured = { reports: WorkerReport[]; lag: number | null; at: number; figures: Figures }

export class Observer {
  readonly #copies: Copies
  readonly #clock: Clock
  readonly #expelled: (owner: Owner, pod: string) => void
  readonly #measured = new Map<string, Measured>()
  /** By pipeline: the group's members as they were last heard. */
  readonly #members = new Map<string, Seen[]>()

  /** `expelled` is told of each worker that is gone and was removed from its group. */
  constructor(copies: Copies, clock: Clock, expelled: (owner: Owner, pod: string) => void) {
    this.#copies = copies
    this.#clock = clock
    this.#expelled = expelled
  }

  /** Never rejects: a worker that does not answer is one of whom nothing is known. Figures are the same object until new. */
  async observe(owner: Owner, spec: Spec | null): Promise<Observation> {
    // One that failed for good stays in the API server, and another has taken its place.
    const pods = this.#copies.podsOf(owner, 'processor').filter(pod => !isOver(pod))
    const key = keyOfOwner(owner)
    // First: until the dead are removed, their partitions stand still.
    const stillIn = await this.#expelDead(key, owner, pods)
    const answers = await Promise.all(pods.flatMap(addressOf).map(askWorker))
    const reports = answers.filter(report => report !== null)
    this.#members.set(key, merged(stillIn, seenIn(pods, reports)))
    return { pods, reports, figures: spec && reports.length > 0 ? this.#measure(key, reports) : UNKNOWN }
  }

  #measure(key: string, reports: WorkerReport[]): Figures {
    const at = this.#clock.now()
    const before = this.#measured.get(key) ?? null
    if (before && at - before.at < MEASURE_EVERY_MS) return before.figures
    const figures = figuresOf(reports, before, at)
    this.#measured.set(key, { reports, lag: figures.lag, at, figures })
    return figures
  }

  /** Answers who may still be in the group: also a dead one that nobody could remove yet. */
  async #expelDead(key: string, owner: Owner, pods: KubeObject[]): Promise<Seen[]> {
    const seen = this.#members.get(key) ?? []
    const gone = new Set<Seen>()
    const expel = async (dead: Seen) => {
      const was = await expelBy(pods, dead.member)
      if (was !== null) gone.add(dead)
      if (was === 'removed') this.#expelled(owner, dead.pod)
    }
    await Promise.all(deadOf(seen, pods).map(expel))
    return seen.filter(member => !gone.has(member))
  }

  forget(key: string): void {
    this.#measured.delete(key)
    this.#members.delete(key)
  }
}

/** Of a process that was heard again only what it says now. */
function merged(before: Seen[], now: Seen[]): Seen[] {
  const isHeard = (old: Seen) => now.some(({ uid, startedAt }) => uid === old.uid && startedAt === old.startedAt)
  return [...before.filter(old => !isHeard(old)), ...now]
}

/** One that is ready answers soonest. */
async function expelBy(pods: KubeObject[], member: string): Promise<'removed' | 'left' | null> {
  const [ready, others] = [pods.filter(isReady), pods.filter(pod => !isReady(pod))]
  for (const worker of [...ready, ...others].flatMap(addressOf).slice(0, ASKED_TO_EXPEL)) {
    const was = await expelMember(worker, member)
    if (was !== null) return was
  }
  return null
}

const isOver = (pod: KubeObject) => ['Failed', 'Succeeded'].includes(statusOf(pod).phase ?? '')

/** None while the pod does not run. */
export function addressOf(pod: KubeObject): Address[] {
  const { podIP, phase } = statusOf(pod)
  return podIP && phase === 'Running' ? [{ name: pod.metadata.name, ip: podIP, port: WORKER_PORT }] : []
}
