/** A run: checks, faults, verification, report. */
import { Cluster } from './cluster.ts'
import { type Step, scheduleRound } from './fault-schedule.ts'
import { type Fault, faultOf } from './faults.ts'
import { Forwards } from './forward.ts'
import { type Api, ChaosError, kubectl } from './kubectl.ts'
import type { Live } from './live.ts'
import { idleFor, rateIn, steadyPartitions, type Window } from './measure.ts'
import { checkPipeline, contextName, describeSchedule } from './preflight.ts'
import { measured, type Outcome, type Report, renderSeconds } from './report.ts'
import { Sampler } from './sampler.ts'
import type { Settings } from './settings.ts'
import { renderVerdict, verdictOf } from './verdict.ts'

const POLL_MS = 500
/** The pipeline is measured for this long before the first fault: recovery means returning to these values. */
const CALM_MS = 10_000
/** The pipeline counts as recovered once it has been healthy for this long. */
const HOLD_MS = 3000
/** A partition whose pauses are all shorter is steady. */
const STEADY_MS = 2000
/** Lag up to this never counts as unhealthy. */
const MIN_LAG_LIMIT = 50

/** The user interrupted the run. */
class Interrupted extends ChaosError {}

type Calm = { window: Window; lag: number; steady: Map<number, number> }

export class Run {
  readonly #settings: Settings
  readonly #cluster: Cluster
  readonly #live: Live
  readonly #sampler: Sampler
  readonly #signal: AbortSignal
  readonly #outcomes: Outcome[] = []
  readonly #leftBehind: string[] = []

  constructor(api: Api, settings: Settings, live: Live, signal: AbortSignal) {
    this.#settings = settings
    this.#live = live
    this.#signal = signal
    this.#cluster = new Cluster(api, settings, settings.places)
    this.#sampler = new Sampler(this.#cluster, settings.portForward ? new Forwards() : null)
  }

  /** Resolves with the report, or with null after a dry run. Throws a ChaosError if the run cannot start. */
  async run(): Promise<Report | null> {
    const { namespace, pipeline, seed, dryRun, nodeCommand } = this.#settings
    const context = await contextName()
    this.#live.event(`context ${context}: pipeline ${pipeline} in namespace ${namespace}, seed ${seed}`)
    await checkPipeline(this.#cluster, this.#settings)
    for (const line of await describeSchedule(this.#cluster, this.#settings)) this.#live.event(line)
    if (nodeCommand) this.#live.event('a killed node stays down; repair it after the run')
    if (dryRun) return null
    const startedAt = Date.now()
    try {
      await this.#sampler.start()
      const calm = await this.#calm()
      const verification = await this.#rounds(calm, startedAt)
        .then(() => this.#verify())
        .catch((error: Error) => {
          if (!(error instanceof ChaosError)) throw error
          return { verdict: null, problem: error.message }
        })
      return this.#report({ context, startedAt, calm, ...verification })
    } finally {
      this.#sampler.stop()
    }
  }

  /** Measures the pipeline before the first fault. Throws a ChaosError if it receives no load. */
  async #calm(): Promise<Calm> {
    const window = { from: Date.now(), to: Date.now() + CALM_MS }
    while (Date.now() < window.to) {
      this.#live.progress('measuring before the first fault')
      await this.#pause(POLL_MS)
    }
    const { ticks } = this.#sampler
    const rate = rateIn(ticks, window)
    const lag = measured(ticks, this.#sampler.totals.bounds, window).peakLag
    if (rate === 0)
      throw new ChaosError('no record was committed in 10 s: start a load, for example with spec.load.onCluster')
    if (lag === null)
      throw new ChaosError(
        'the lag of at least one partition is unknown: check that every partition is assigned to a worker',
      )
    this.#live.event(`before the first fault: ${rate.toFixed(0)} records/s, lag at most ${lag}`)
    // At most twice the peak, or what arrives within a second.
    return { window, lag: Math.max(MIN_LAG_LIMIT, 2 * lag, rate), steady: steadyPartitions(ticks, window, STEADY_MS) }
  }

  async #rounds(calm: Calm, startedAt: number): Promise<void> {
    const { rounds, forMs, seed, kinds, everyMs } = this.#settings
    const continues = (round: number) =>
      round === 1 || (rounds === null ? Date.now() - startedAt < forMs : round <= rounds)
    let lastAt = -Infinity
    for (let round = 1; continues(round); round++) {
      const steps = scheduleRound(seed, round, kinds)
      // --faults is only node, and the node is already lost.
      if (steps.length === 0) return
      for (const step of steps) {
        while (Date.now() - lastAt < everyMs) {
          this.#live.progress(`${step.kind} next; ${this.#figures()}`)
          await this.#pause(POLL_MS)
        }
        lastAt = Date.now()
        const outcome = await this.#inject(step, calm)
        this.#outcomes.push(outcome)
        if (outcome.failure !== null) return
      }
    }
  }

  async #inject(step: Step, calm: Calm): Promise<Outcome> {
    const from = Date.now()
    let fault: Fault | null = null
    const outcome = (bit: boolean, recoveredMs: number | null, failure: string | null): Outcome => {
      const window = { from, to: Date.now() }
      this.#live.event(`${step.kind}: ${failure ?? `recovered after ${renderSeconds(recoveredMs)} s`}`)
      const figures = measured(this.#sampler.ticks, this.#sampler.totals.bounds, window)
      const about = { round: step.round, kind: step.kind, target: fault?.target ?? 'none' }
      return { ...about, window, bit, recoveredMs, failure, ...figures }
    }
    try {
      fault = await faultOf(step, this.#cluster, this.#settings)
      this.#live.event(`round ${step.round}: ${step.kind}: ${fault.target}`)
      await fault.inject()
      const awaited = await this.#until(step.kind, from, fault.awaitedEffect)
      if (awaited !== null) return outcome(false, null, `had no effect: waited for ${awaited}`)
      this.#live.event(`${step.kind}: took effect`)
      const recovered = await this.#recovery(fault, calm, from)
      if (typeof recovered === 'string') return outcome(true, null, `did not recover: waited for ${recovered}`)
      return outcome(true, recovered - from, null)
    } catch (error) {
      if (!(error instanceof ChaosError) || error instanceof Interrupted) throw error
      return outcome(false, null, error.message)
    } finally {
      this.#leftBehind.push(...(fault?.leftBehind ?? []))
    }
  }

  /** Resolves with the time of recovery, or with what the run still waited for when the time was over. */
  async #recovery(fault: Fault, calm: Calm, from: number): Promise<number | string> {
    let healthySince: number | null = null
    const awaited = await this.#until(fault.kind, from, async () => {
      const waitsFor = (await fault.awaitedRecovery()) ?? (await this.#awaitedHealth(calm))
      if (waitsFor !== null) healthySince = null
      else healthySince ??= Date.now()
      if (healthySince === null) return waitsFor
      return Date.now() - healthySince >= HOLD_MS ? null : 'the pipeline to stay healthy'
    })
    return awaited ?? healthySince!
  }

  async #awaitedHealth({ lag, steady }: Calm): Promise<string | null> {
    const { ready, message } = await this.#cluster.pipeline()
    if (!ready) return `the pipeline to be Ready (${message})`
    const { ticks } = this.#sampler
    const now = ticks.at(-1)!
    if (now.lag === null) return 'every partition to have an owner'
    if (now.lag > lag) return `lag ${now.lag} to be at most ${lag.toFixed(0)}`
    // A worker that cannot read does not see the lag grow, so commits are checked as well.
    const paused = [...steady].filter(([p, usual]) => idleFor(ticks, p) > Math.max(STEADY_MS, 3 * usual))
    return paused.length === 0 ? null : `partitions ${paused.map(([p]) => p).join(', ')} to make progress`
  }

  /** Resolves with null as soon as `waitsFor` does, or with its last text when the time is over. */
  async #until(what: string, from: number, waitsFor: () => Promise<string | null>): Promise<string | null> {
    for (;;) {
      // The API server may be unavailable for a while: that is one more thing to wait for.
      const text = await waitsFor().catch((error: Error) => error.message)
      if (text === null) return null
      if (Date.now() - from > this.#settings.withinMs) return text
      this.#live.progress(`${what}: waiting for ${text}; ${this.#figures()}`)
      await this.#pause(POLL_MS)
    }
  }

  /** Runs the verifier. Throws a ChaosError if it produces no verdict. */
  async #verify(): Promise<Pick<Report, 'verdict' | 'problem'>> {
    const { namespace, stopLoad, verifyImage, withinMs } = this.#settings
    if (this.#outcomes.some(({ bit, recoveredMs }) => bit && recoveredMs === null))
      return { verdict: null, problem: 'not verified, because the pipeline did not recover' }
    if (stopLoad) await this.#drain()
    this.#live.event(`running the verifier (${verifyImage})`)
    const { document } = await this.#cluster.pipeline()
    const verdict = await verdictOf(document, { namespace, image: verifyImage, drained: stopLoad, withinMs })
    this.#live.event(renderVerdict(verdict))
    return { verdict, problem: null }
  }

  /** Stops the load and waits until everything is committed and projected. */
  async #drain(): Promise<void> {
    const { namespace, pipeline } = this.#settings
    const patch = (on: boolean) => JSON.stringify({ spec: { load: { onCluster: on } } })
    await kubectl(['-n', namespace, 'patch', `salespipeline/${pipeline}`, '--type=merge', '-p', patch(false)])
    this.#live.event('load stopped')
    const restart = `kubectl -n ${namespace} patch salespipeline/${pipeline} --type=merge -p '${patch(true)}'`
    this.#leftBehind.push(`the load is stopped; start it again: ${restart}`)
    let quietSince = Date.now()
    const left = await this.#until('draining', Date.now(), async () => {
      const { ticks } = this.#sampler
      const now = ticks.at(-1)!
      const grew = rateIn(ticks, { from: now.at - HOLD_MS, to: now.at }) > 0
      const isDrained = now.lag === 0 && now.pending === 0 && !grew
      const text = isDrained ? null : `lag 0 and no rows to project (lag ${now.lag ?? 'unknown'}, ${now.pending} rows)`
      if (text !== null) quietSince = Date.now()
      return text ?? (Date.now() - quietSince >= CALM_MS ? null : 'the pipeline to stay idle')
    })
    if (left !== null) throw new ChaosError(`the pipeline did not drain: waited for ${left}`)
  }

  #report(result: Pick<Report, 'context' | 'startedAt' | 'verdict' | 'problem'> & { calm: Calm }): Report {
    const { namespace, pipeline, seed, stopLoad } = this.#settings
    const { ticks, totals } = this.#sampler
    const { calm, ...rest } = result
    const baseline = { window: calm.window, ...measured(ticks, totals.bounds, calm.window) }
    const ok = this.#outcomes.every(({ failure }) => failure === null) && rest.verdict?.ok === true
    const about = { ok, namespace, pipeline, seed, drained: stopLoad, ...rest, endedAt: Date.now(), calm: baseline }
    return { ...about, faults: this.#outcomes, leftBehind: this.#leftBehind, bounds: totals.bounds, ticks }
  }

  #figures(): string {
    const now = this.#sampler.ticks.at(-1)
    return `lag ${now?.lag ?? 'unknown'}, ${now?.ready ?? 0} workers ready`
  }

  /** Throws Interrupted once the user has interrupted the run. */
  async #pause(ms: number): Promise<void> {
    if (this.#signal.aborted) throw new Interrupted('interrupted')
    await new Promise(resolve => setTimeout(resolve, ms))
  }
}
