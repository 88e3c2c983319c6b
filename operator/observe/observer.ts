/** Observes the workers of a pipeline: their pods, their own status, and the figures that follow from it. */
import { WORKER_PORT } from '#pipeline/limits.ts'
import type { Spec } from '#pipeline/schema.ts'
import type { Caches } from '../caches.ts'
import { keyOfOwner } from '../desired/names.ts'
import type { Owner } from '../desired/observed.ts'
import type { KubeObject } from '../kube/resources.ts'
import type { Clock } from '../ports.ts'
import type { Removals } from '../removals.ts'
import { type Figures, figuresOf, UNKNOWN } from './figures.ts'
import { deadMembers, type Member, membersOf } from './members.ts'
import { isReady, podStatus } from './pods.ts'
import { type Address, type Expelled, expelMember, fetchStatus, type WorkerReport } from './report.ts'

export type Observation = { pods: KubeObject[]; reports: WorkerReport[]; figures: Figures }

/** Workers update their counters every second: rates over a shorter time would be noise. */
const MEASURE_EVERY_MS = 4000
/** Requests per dead member and pass; after that the next pass tries again. */
const MAX_EXPEL_REQUESTS = 2
/** Passes that try to remove a dead member. By then, about a minute later, the broker has removed it. */
const MAX_EXPEL_TRIES = 12

type Measurement = { reports: WorkerReport[]; lag: number | null; at: number; figures: Figures }

export type ObserverDeps = {
  caches: Caches
  clock: Clock
  removals: Pick<Removals, 'token'>
  /** Called for each dead worker that was removed from its group. */
  onExpelled: (owner: Owner, pod: string) => void
}

export class Observer {
  readonly #deps: ObserverDeps
  readonly #measurements = new Map<string, Measurement>()
  /** By pipeline: the group's members by their last reports. */
  readonly #members = new Map<string, Member[]>()
  readonly #tries = new WeakMap<Member, number>()

  constructor(deps: ObserverDeps) {
    this.#deps = deps
  }

  /** Never rejects: a worker that does not respond has no report. `figures` stays the same object until it is measured again. */
  async observe(owner: Owner, spec: Spec | null): Promise<Observation> {
    // A pod that failed for good stays in the API server after its replacement was created.
    const pods = this.#deps.caches.podsOf(owner, 'processor').filter(pod => !isOver(pod))
    const key = keyOfOwner(owner)
    // Dead members first: nobody reads their partitions until they are removed.
    const remaining = await this.#expelDead(key, owner, pods)
    const responses = await Promise.all(pods.flatMap(addressOf).map(fetchStatus))
    const reports = responses.filter(report => report !== null)
    this.#members.set(key, merged(remaining, membersOf(pods, reports)))
    return { pods, reports, figures: spec && reports.length > 0 ? this.#measure(key, reports) : UNKNOWN }
  }

  #measure(key: string, reports: WorkerReport[]): Figures {
    const at = this.#deps.clock.now()
    const before = this.#measurements.get(key) ?? null
    if (before && at - before.at < MEASURE_EVERY_MS) return before.figures
    const figures = figuresOf(reports, before, at)
    this.#measurements.set(key, { reports, lag: figures.lag, at, figures })
    return figures
  }

  /**
   * Resolves with the members that may still be in the group, including dead ones that no worker could remove yet. Where
   * workers refuse the removal, the broker notices the dead member soon enough.
   */
  async #expelDead(key: string, owner: Owner, pods: KubeObject[]): Promise<Member[]> {
    const members = this.#members.get(key) ?? []
    const removed = new Set<Member>()
    const expel = async (dead: Member) => {
      const outcome = await this.#expel(owner, dead, pods)
      if (outcome !== null) removed.add(dead)
      if (outcome === 'removed') this.#deps.onExpelled(owner, dead.pod)
    }
    await Promise.all(deadMembers(members, pods).map(expel))
    return members.filter(member => !removed.has(member))
  }

  async #expel(owner: Owner, dead: Member, pods: KubeObject[]): Promise<Expelled> {
    const [ready, others] = [pods.filter(isReady), pods.filter(pod => !isReady(pod))]
    // Ready pods first: they respond soonest.
    const workers = [...ready, ...others].flatMap(addressOf).slice(0, MAX_EXPEL_REQUESTS)
    if (workers.length === 0) return null
    const tries = (this.#tries.get(dead) ?? 0) + 1
    this.#tries.set(dead, tries)
    const token = await this.#deps.removals.token(owner, dead.member)
    if (token === null) return 'refused'
    for (const worker of workers) {
      const outcome = await expelMember(worker, dead.member, token)
      if (outcome !== null && outcome !== 'refused') return outcome
    }
    return tries < MAX_EXPEL_TRIES ? null : 'refused'
  }

  forget(key: string): void {
    this.#measurements.delete(key)
    this.#members.delete(key)
  }
}

/** A process that reported again replaces its earlier entry. */
function merged(before: Member[], now: Member[]): Member[] {
  const hasReported = (old: Member) => now.some(({ uid, startedAt }) => uid === old.uid && startedAt === old.startedAt)
  return [...before.filter(old => !hasReported(old)), ...now]
}

const isOver = (pod: KubeObject) => ['Failed', 'Succeeded'].includes(podStatus(pod).phase ?? '')

/** Empty unless the pod runs. */
export function addressOf(pod: KubeObject): Address[] {
  const { podIP, phase } = podStatus(pod)
  return podIP && phase === 'Running' ? [{ name: pod.metadata.name, ip: podIP, port: WORKER_PORT }] : []
}
