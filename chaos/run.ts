/** A run from the first look to the report. */
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

const LOOK_EVERY_MS = 500
/** How the pipeline is when it is left alone: what the faults are compared with, and what it comes back to. */
const CALM_MS = 10_000
/** All must be well for so long: a moment's luck is no recovery. */
const HOLD_MS = 3000
/** A partition that never paused for so long is steady. */
const STEADY_MS = 2000
/** Beside a multiple of what was usual, so that small figures are not judged by chance. */
const LEAST_LAG = 50

/** Whoever started the run ends it. */
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

  /** Null: it was only asked what would be done. Throws a ChaosError when it cannot begin. */
  async go(): Promise<Report | null> {
    const { namespace, pipeline, seed, dryRun, nodeCommand } = this.#settings
    const context = await contextName()
    this.#live.event(`context ${context}: pipeline ${pipeline} in namespace ${namespace}, seed ${seed}`)
    await checkPipeline(this.#cluster, this.#settings)
    for (const line of await describeSchedule(this.#cluster, this.#settings)) this.#live.event(line)
    if (nodeCommand) this.#live.event('a node that is lost stays lost until you repair it')
    if (dryRun) return null
    const startedAt = Date.now()
    try {
      await this.#sampler.start()
      const calm = await this.#calm()
      const judgement = await this.#rounds(calm, startedAt)
        .then(() => this.#judge())
        .catch((error: Error) => {
          if (!(error instanceof ChaosError)) throw error
          return { verdict: null, problem: error.message }
        })
      return this.#report({ context, startedAt, calm, ...judgement })
    } finally {
      this.#sampler.stop()
    }
  }

  /** Throws a ChaosError when no sales flow. */
  async #calm(): Promise<Calm> {
    const window = { from: Date.now(), to: Date.now() + CALM_MS }
    while (Date.now() < window.to) {
      this.#live.progress('looking how it goes while nothing happens')
      await this.#pause(LOOK_EVERY_MS)
    }
    const { ticks } = this.#sampler
    const rate = rateIn(ticks, window)
    const lag = measured(ticks, this.#sampler.totals.bounds, window).peakLag
    if (rate === 0) throw new ChaosError('no sales flow: no record was committed in 10 s. Chaos needs a load')
    if (lag === null) throw new ChaosError('the lag of some partition is not known: is every partition owned?')
    this.#live.event(`left alone: ${rate.toFixed(0)} records/s, lag at most ${lag}`)
    // Twice what was seen, and what comes in within a second.
    return { window, lag: Math.max(LEAST_LAG, 2 * lag, rate), steady: steadyPartitions(ticks, window, STEADY_MS) }
  }

  async #rounds(calm: Calm, startedAt: number): Promise<void> {
    const { rounds, forMs, seed, kinds, everyMs } = this.#settings
    const goesOn = (round: number) =>
      round === 1 || (rounds === null ? Date.now() - startedAt < forMs : round <= rounds)
    let lastAt = -Infinity
    for (let round = 1; goesOn(round); round++) {
      const steps = scheduleRound(seed, round, kinds)
      // Nothing but a node, which is lost already.
      if (steps.length === 0) return
      for (const step of steps) {
        while (Date.now() - lastAt < everyMs) {
          this.#live.progress(`${step.kind} next; ${this.#figures()}`)
          await this.#pause(LOOK_EVERY_MS)
        }
        lastAt = Date.now()
        const outcome = await this.#hit(step, calm)
        this.#outcomes.push(outcome)
        if (outcome.failure !== null) return
      }
    }
  }

  async #hit(step: Step, calm: Calm): Promise<Outcome> {
    const from = Date.now()
    let fault: Fault | null = null
    const ended = (bit: boolean, recoveredMs: number | null, failure: string | null): Outcome => {
      const window = { from, to: Date.now() }
      this.#live.event(`${step.kind}: ${failure ?? `recovered after ${renderSeconds(recoveredMs)} s`}`)
      const figures = measured(this.#sampler.ticks, this.#sampler.totals.bounds, window)
      const about = { round: step.round, kind: step.kind, target: fault?.target ?? 'nobody' }
      return { ...about, window, bit, recoveredMs, failure, ...figures }
    }
    try {
      fault = await faultOf(step, this.#cluster, this.#settings)
      this.#live.event(`round ${step.round}: ${step.kind}: ${fault.target}`)
      await fault.inject()
      const bitten = await this.#until(step.kind, from, fault.bite)
      if (bitten !== null) return ended(false, null, `did not bite: waited for ${bitten}`)
      this.#live.event(`${step.kind}: it bit`)
      const recovered = await this.#recovery(fault, calm, from)
      if (typeof recovered === 'string') return ended(true, null, `did not recover: waited for ${recovered}`)
      return ended(true, recovered - from, null)
    } catch (error) {
      if (!(error instanceof ChaosError) || error instanceof Interrupted) throw error
      return ended(false, null, error.message)
    } finally {
      this.#leftBehind.push(...(fault?.leftBehind ?? []))
    }
  }

  /** When all was well again and stayed so; or what was still missing when the time was over. */
  async #recovery(fault: Fault, calm: Calm, from: number): Promise<number | string> {
    let wellSince: number | null = null
    const missing = await this.#until(fault.kind, from, async () => {
      const waitsFor = (await fault.missing()) ?? (await this.#unwell(calm))
      if (waitsFor !== null) wellSince = null
      else wellSince ??= Date.now()
      if (wellSince === null) return waitsFor
      return Date.now() - wellSince >= HOLD_MS ? null : 'all to stay well'
    })
    return missing ?? wellSince!
  }

  async #unwell({ lag, steady }: Calm): Promise<string | null> {
    const { ready, says } = await this.#cluster.pipeline()
    if (!ready) return `the pipeline to be Ready (${says})`
    const { ticks } = this.#sampler
    const now = ticks.at(-1)!
    if (now.lag === null) return 'every partition to have an owner'
    if (now.lag > lag) return `lag ${now.lag} to be at most ${lag.toFixed(0)}`
    // A worker that reads nothing hears of no lag either: what it commits tells.
    const still = [...steady].filter(([p, usual]) => idleFor(ticks, p) > Math.max(STEADY_MS, 3 * usual))
    return still.length === 0 ? null : `partitions ${still.map(([p]) => p).join(', ')} to go on`
  }

  /** Null as soon as nothing is waited for any more, else what was when the time was over. */
  async #until(what: string, from: number, waitsFor: () => Promise<string | null>): Promise<string | null> {
    for (;;) {
      // An API server that is away for a while is one more thing to wait for.
      const text = await waitsFor().catch((error: Error) => error.message)
      if (text === null) return null
      if (Date.now() - from > this.#settings.withinMs) return text
      this.#live.progress(`${what}: waiting for ${text}; ${this.#figures()}`)
      await this.#pause(LOOK_EVERY_MS)
    }
  }

  /** Throws a ChaosError when there is no verdict to be had. */
  async #judge(): Promise<Pick<Report, 'verdict' | 'problem'>> {
    const { namespace, stopLoad, verifyImage, withinMs } = this.#settings
    if (this.#outcomes.some(({ bit, recoveredMs }) => bit && recoveredMs === null))
      return { verdict: null, problem: 'no verdict is asked for, since the pipeline did not recover' }
    if (stopLoad) await this.#drain()
    this.#live.event(`the verifier judges (${verifyImage})`)
    const { document } = await this.#cluster.pipeline()
    const verdict = await verdictOf(document, { namespace, image: verifyImage, drained: stopLoad, withinMs })
    this.#live.event(renderVerdict(verdict))
    return { verdict, problem: null }
  }

  /** Lets nobody sell any more and waits until nothing waits. */
  async #drain(): Promise<void> {
    const { namespace, pipeline } = this.#settings
    const patch = (on: boolean) => JSON.stringify({ spec: { load: { onCluster: on } } })
    await kubectl(['-n', namespace, 'patch', `salespipeline/${pipeline}`, '--type=merge', '-p', patch(false)])
    this.#live.event('the load is stopped')
    const again = `kubectl -n ${namespace} patch salespipeline/${pipeline} --type=merge -p '${patch(true)}'`
    this.#leftBehind.push(`the load is stopped; start it again: ${again}`)
    let quietSince = Date.now()
    const left = await this.#until('draining', Date.now(), async () => {
      const { ticks } = this.#sampler
      const now = ticks.at(-1)!
      const grew = rateIn(ticks, { from: now.at - HOLD_MS, to: now.at }) > 0
      const text = now.lag === 0 && now.pending === 0 && !grew ? null : `lag 0 and nothing to project (${now.pending})`
      if (text !== null) quietSince = Date.now()
      return text ?? (Date.now() - quietSince >= CALM_MS ? null : 'all to stay quiet')
    })
    if (left !== null) throw new ChaosError(`the pipeline does not drain: waited for ${left}`)
  }

  #report(of: Pick<Report, 'context' | 'startedAt' | 'verdict' | 'problem'> & { calm: Calm }): Report {
    const { namespace, pipeline, seed, stopLoad } = this.#settings
    const { ticks, totals } = this.#sampler
    const { calm, ...rest } = of
    const left = { window: calm.window, ...measured(ticks, totals.bounds, calm.window) }
    const ok = this.#outcomes.every(({ failure }) => failure === null) && rest.verdict?.ok === true
    const about = { ok, namespace, pipeline, seed, drained: stopLoad, ...rest, endedAt: Date.now(), calm: left }
    return { ...about, faults: this.#outcomes, leftBehind: this.#leftBehind, bounds: totals.bounds, ticks }
  }

  #figures(): string {
    const now = this.#sampler.ticks.at(-1)
    return `lag ${now?.lag ?? 'not known'}, ${now?.ready ?? 0} workers ready`
  }

  /** Throws Interrupted when the run is to end. */
  async #pause(ms: number): Promise<void> {
    if (this.#signal.aborted) throw new Interrupted('interrupted')
    await new Promise(resolve => setTimeout(resolve, ms))
  }
}
