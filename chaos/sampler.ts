/** Asks every worker how it does, all the time, and keeps what came of it. */
import type { Cluster, Pod } from './cluster.ts'
import type { Forwards } from './forward.ts'
import { ChaosError } from './kubectl.ts'
import { type Tick, Totals } from './measure.ts'
import { type Reading, readingOf } from './scrape.ts'

const EVERY_MS = 500
/** A worker that does not answer within this says nothing this time; others are asked meanwhile. */
const ANSWER_MS = 2000
const FIRST_ANSWERS_MS = 20_000

export class Sampler {
  readonly ticks: Tick[] = []
  readonly totals = new Totals()
  readonly #cluster: Cluster
  readonly #forwards: Forwards | null
  readonly #asked = new Set<string>()
  #pods: Pod[] = []
  #timer: NodeJS.Timeout | null = null

  /** Without `forwards` the API server's own proxy asks. */
  constructor(cluster: Cluster, forwards: Forwards | null) {
    this.#cluster = cluster
    this.#forwards = forwards
  }

  /**
   * Waits until every worker has answered once: what they counted before is nobody's business here. Those that are on
   * their way out are never asked; on a node that was lost they stay on it for ever.
   */
  async start(): Promise<void> {
    this.#pods = await this.#cluster.pods('worker')
    for (const { uid, leaving } of this.#pods) if (leaving) this.#asked.add(uid)
    const workers = this.#pods.filter(({ running, leaving }) => running && !leaving)
    if (workers.length === 0) throw new ChaosError('no worker runs')
    const deadline = Date.now() + FIRST_ANSWERS_MS
    const answers = await Promise.all(workers.map(pod => this.#first(pod, deadline)))
    this.totals.begin(answers, Date.now())
    this.#timer = setInterval(() => this.#tick(), EVERY_MS)
  }

  stop(): void {
    if (this.#timer) clearInterval(this.#timer)
    this.#forwards?.keep(new Set())
  }

  async #first(pod: Pod, deadline: number): Promise<Reading> {
    for (;;) {
      try {
        return await this.#read(pod)
      } catch (error) {
        if (Date.now() > deadline) throw new ChaosError(this.#unheard(pod, error as Error))
        await new Promise(resolve => setTimeout(resolve, EVERY_MS))
      }
    }
  }

  #unheard({ name }: Pod, { message }: Error): string {
    const hint = 'NetworkPolicies may keep the API server out of the pod: try --port-forward'
    return `worker ${name} does not answer: ${message}${this.#forwards ? '' : `\n${hint}`}`
  }

  #tick(): void {
    this.ticks.push(this.totals.tick(Date.now(), this.#pods.filter(({ ready, leaving }) => ready && !leaving).length))
    void this.#look()
    for (const pod of this.#pods) if (pod.running) void this.#ask(pod)
  }

  /** While the API server does not answer, those who were there are asked on. */
  async #look(): Promise<void> {
    if (this.#asked.has('')) return
    this.#asked.add('')
    this.#pods = await this.#cluster.pods('worker').catch(() => this.#pods)
    this.#forwards?.keep(new Set(this.#pods.map(({ uid }) => uid)))
    this.#asked.delete('')
  }

  async #ask(pod: Pod): Promise<void> {
    if (this.#asked.has(pod.uid)) return
    this.#asked.add(pod.uid)
    const reading = await this.#read(pod).catch(() => null)
    if (reading) this.totals.add(reading, Date.now())
    this.#asked.delete(pod.uid)
  }

  async #read(pod: Pod): Promise<Reading> {
    const way = this.#forwards ?? this.#cluster
    const paths = ['/status', '/metrics']
    const [status, metrics] = await Promise.all(paths.map(path => way.ask(pod, path, ANSWER_MS)))
    return readingOf(pod.name, status!, metrics!)
  }
}
