/** How the workers of a pipeline do: their pods, what they say of themselves, and the figures that follow. */
import type { Spec } from '#pipeline/schema.ts'
import type { Copies } from '../copies.ts'
import type { Owner } from '../desired/desired.ts'
import { keyOfOwner } from '../desired/names.ts'
import { PROCESSOR_PORT } from '../desired/processor.ts'
import type { KubeObject } from '../kube/resources.ts'
import type { Clock } from '../ports.ts'
import { type Figures, figuresOf, UNKNOWN } from './figures.ts'
import { deadOf, type Seen, seenIn } from './members.ts'
import { isReady, statusOf } from './pods.ts'
import { type Address, askWorker, expelMember, type WorkerReport } from './report.ts'

export type Observation = { pods: KubeObject[]; reports: WorkerReport[]; figures: Figures }

export class Observer {
  readonly #copies: Copies
  readonly #clock: Clock
  readonly #expelled: (owner: Owner, pod: string) => void
  readonly #before = new Map<string, { reports: WorkerReport[]; lag: number | null; at: number }>()
  /** By pipeline: the group's members as they were last heard. */
  readonly #members = new Map<string, Seen[]>()

  /** `expelled` is told of each worker that is gone and was removed from its group. */
  constructor(copies: Copies, clock: Clock, expelled: (owner: Owner, pod: string) => void) {
    this.#copies = copies
    this.#clock = clock
    this.#expelled = expelled
  }

  /** Never rejects: a worker that does not answer is one of whom nothing is known. */
  async observe(owner: Owner, spec: Spec | null): Promise<Observation> {
    const pods = this.#copies.podsOf(owner, 'processor')
    const key = keyOfOwner(owner)
    // First: until the dead are removed, their partitions stand still.
    const stillIn = await this.#expelDead(key, owner, pods)
    const answers = await Promise.all(pods.flatMap(addressOf).map(askWorker))
    const reports = answers.filter(report => report !== null)
    this.#members.set(key, merged(stillIn, seenIn(pods, reports)))
    if (!spec || reports.length === 0) return { pods, reports, figures: UNKNOWN }
    const at = this.#clock.now()
    const figures = figuresOf(reports, this.#before.get(key) ?? null, at)
    this.#before.set(key, { reports, lag: figures.lag, at })
    return { pods, reports, figures }
  }

  /** Answers who may still be in the group: also a dead one that nobody could remove yet. */
  async #expelDead(key: string, owner: Owner, pods: KubeObject[]): Promise<Seen[]> {
    const seen = this.#members.get(key) ?? []
    const gone = new Set<Seen>()
    for (const dead of deadOf(seen, pods)) {
      if (!(await expelBy(pods, dead.member))) continue
      gone.add(dead)
      this.#expelled(owner, dead.pod)
    }
    return seen.filter(member => !gone.has(member))
  }

  forget(key: string): void {
    this.#before.delete(key)
    this.#members.delete(key)
  }
}

/** Of a process that was heard again only what it says now. */
function merged(before: Seen[], now: Seen[]): Seen[] {
  const isHeard = (old: Seen) => now.some(({ uid, startedAt }) => uid === old.uid && startedAt === old.startedAt)
  return [...before.filter(old => !isHeard(old)), ...now]
}

/** One that is ready answers soonest. */
async function expelBy(pods: KubeObject[], member: string): Promise<boolean> {
  const [ready, others] = [pods.filter(isReady), pods.filter(pod => !isReady(pod))]
  for (const worker of [...ready, ...others].flatMap(addressOf)) if (await expelMember(worker, member)) return true
  return false
}

/** None while the pod does not run. */
export function addressOf(pod: KubeObject): Address[] {
  const { podIP, phase } = statusOf(pod)
  return podIP && phase === 'Running' ? [{ name: pod.metadata.name, ip: podIP, port: PROCESSOR_PORT }] : []
}
