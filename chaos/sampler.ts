/** Polls the status and metrics of every worker and keeps the results. */
import type { Cluster, Pod } from './cluster.ts'
import type { Forwards } from './forward.ts'
import { ChaosError } from './kubectl.ts'
import { type Tick, Totals } from './measure.ts'
import { type Reading, readingOf } from './scrape.ts'

const EVERY_MS = 500
/** A worker that does not respond in time is skipped once. It does not delay the others. */
const RESPONSE_MS = 2000
const FIRST_RESPONSE_MS = 20_000
/** Names of the errors of a request that is aborted by AbortSignal.timeout: of `node:http` and of `fetch`. */
const TIMEOUT_ERRORS = new Set(['AbortError', 'TimeoutError'])
/** What the API server responds if it cannot connect to a pod. */
const PROXY_CANNOT_CONNECT = 'error trying to reach service'

export class Sampler {
  readonly ticks: Tick[] = []
  readonly totals = new Totals()
  readonly #cluster: Cluster
  readonly #forwards: Forwards | null
  readonly #pending = new Set<string>()
  #pods: Pod[] = []
  #timer: NodeJS.Timeout | null = null

  /** Without `forwards` it reaches workers through the API server's proxy. */
  constructor(cluster: Cluster, forwards: Forwards | null) {
    this.#cluster = cluster
    this.#forwards = forwards
  }

  /**
   * Waits until every worker has responded once, because earlier counts must be subtracted. Never polls terminating pods:
   * on a lost node they stay forever.
   */
  async start(): Promise<void> {
    this.#pods = await this.#cluster.pods('worker')
    for (const { uid, terminating } of this.#pods) if (terminating) this.#pending.add(uid)
    const workers = this.#pods.filter(({ running, terminating }) => running && !terminating)
    if (workers.length === 0) throw new ChaosError('no worker is running; check the worker pods of the pipeline')
    const deadline = Date.now() + FIRST_RESPONSE_MS
    const readings = await Promise.all(workers.map(pod => this.#first(pod, deadline)))
    this.totals.begin(readings, Date.now())
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
        if (Date.now() > deadline) throw new ChaosError(this.#unreadable(pod, error as Error))
        await new Promise(resolve => setTimeout(resolve, EVERY_MS))
      }
    }
  }

  #unreadable({ name }: Pod, error: Error): string {
    const isTimeout = TIMEOUT_ERRORS.has(error.name)
    const reason = isTimeout ? `no response within ${RESPONSE_MS / 1000} s` : error.message
    const mayBeBlocked = !this.#forwards && (isTimeout || reason.includes(PROXY_CANNOT_CONNECT))
    const hint = mayBeBlocked ? '\nNetworkPolicies may block the API server: try --port-forward' : ''
    return `cannot read /status and /metrics of worker ${name}: ${reason}${hint}`
  }

  #tick(): void {
    this.ticks.push(
      this.totals.tick(Date.now(), this.#pods.filter(({ ready, terminating }) => ready && !terminating).length),
    )
    void this.#refreshPods()
    for (const pod of this.#pods) if (pod.running) void this.#poll(pod)
  }

  /** While the API server does not respond, the known pods are kept. */
  async #refreshPods(): Promise<void> {
    if (this.#pending.has('')) return
    this.#pending.add('')
    this.#pods = await this.#cluster.pods('worker').catch(() => this.#pods)
    this.#forwards?.keep(new Set(this.#pods.map(({ uid }) => uid)))
    this.#pending.delete('')
  }

  async #poll(pod: Pod): Promise<void> {
    if (this.#pending.has(pod.uid)) return
    this.#pending.add(pod.uid)
    const reading = await this.#read(pod).catch(() => null)
    if (reading) this.totals.add(reading, Date.now())
    this.#pending.delete(pod.uid)
  }

  async #read(pod: Pod): Promise<Reading> {
    const client = this.#forwards ?? this.#cluster
    const paths = ['/status', '/metrics']
    const [status, metrics] = await Promise.all(paths.map(path => client.fetch(pod, path, RESPONSE_MS)))
    return readingOf(pod.name, status!, metrics!)
  }
}
