/** How the workers of a pipeline do: their pods, what they say of themselves, and the figures that follow. */
import type { Spec } from '#pipeline/schema.ts'
import type { Copies } from '../copies.ts'
import type { Owner } from '../desired/desired.ts'
import { keyOfOwner } from '../desired/names.ts'
import { PROCESSOR_PORT } from '../desired/processor.ts'
import type { KubeObject } from '../kube/resources.ts'
import type { Clock } from '../ports.ts'
import { type Figures, figuresOf, UNKNOWN } from './figures.ts'
import { statusOf } from './pods.ts'
import { askWorker, type WorkerReport } from './report.ts'

export type Observation = { pods: KubeObject[]; reports: WorkerReport[]; figures: Figures }

export class Observer {
  readonly #copies: Copies
  readonly #clock: Clock
  readonly #before = new Map<string, { reports: WorkerReport[]; lag: number | null; at: number }>()

  constructor(copies: Copies, clock: Clock) {
    this.#copies = copies
    this.#clock = clock
  }

  /** Never rejects: a worker that does not answer is one of whom nothing is known. */
  async observe(owner: Owner, spec: Spec | null): Promise<Observation> {
    const pods = this.#copies.podsOf(owner, 'processor')
    const answers = await Promise.all(pods.flatMap(askable).map(askWorker))
    const reports = answers.filter(report => report !== null)
    if (!spec || reports.length === 0) return { pods, reports, figures: UNKNOWN }
    const key = keyOfOwner(owner)
    const at = this.#clock.now()
    const figures = figuresOf(spec.source.partitions, reports, this.#before.get(key) ?? null, at)
    this.#before.set(key, { reports, lag: figures.lag, at })
    return { pods, reports, figures }
  }

  forget(key: string): void {
    this.#before.delete(key)
  }
}

function askable(pod: KubeObject): { name: string; ip: string; port: number }[] {
  const { podIP, phase } = statusOf(pod)
  return podIP && phase === 'Running' ? [{ name: pod.metadata.name, ip: podIP, port: PROCESSOR_PORT }] : []
}
