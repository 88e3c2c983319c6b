/** Asks every worker how it does, all the time, and keeps what came of it. */
import type { Cluster, Pod } from './cluster.ts'
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
  readonly #asked = new Set<string>()
  #pods: Pod[] = []
  #timer: NodeJS.Timeout | null = null

  constructor(cluster: Cluster) {
    this.#cluster = cluster
  }

  /** Waits until every worker has answered once: what they counted before is nobody's business here. */
  async start(): Promise<void> {
    this.#pods = await this.#cluster.pods('worker')
    const deadline = Date.now() + FIRST_ANSWERS_MS
    const answers = await Promise.all(this.#pods.map(pod => this.#first(pod, deadline)))
    this.totals.begin(answers, Date.now())
    this.#timer = setInterval(() => this.#tick(), EVERY_MS)
  }

  stop(): void {
    if (this.#timer) clearInterval(this.#timer)
  }

  async #first(pod: Pod, deadline: number): Promise<Reading> {
    for (;;) {
      try {
        return await this.#read(pod)
      } catch (error) {
        if (Date.now() > deadline)
          throw new ChaosError(`worker ${pod.name} does not answer: ${(error as Error).message}`)
        await new Promise(resolve => setTimeout(resolve, EVERY_MS))
      }
    }
  }

  #tick(): void {
    this.ticks.push(this.totals.tick(Date.now(), this.#pods.filter(({ ready, leaving }) => ready && !leaving).length))
    void this.#look()
    for (const pod of this.#pods) void this.#ask(pod)
  }

  /** While the API server does not answer, those who were there are asked on. */
  async #look(): Promise<void> {
    if (this.#asked.has('')) return
    this.#asked.add('')
    this.#pods = await this.#cluster.pods('worker').catch(() => this.#pods)
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
    const paths = ['/status', '/metrics']
    const [status, metrics] = await Promise.all(paths.map(path => this.#cluster.ask(pod, path, ANSWER_MS)))
    return readingOf(pod.name, status!, metrics!)
  }
}
