/** One pass over one pipeline: observe → decide → apply → status. A pass starts from the caches, never from an earlier pass. */
import type { Spec } from '#pipeline/schema.ts'
import { type Applier, isUnknownField, NotOurs } from './apply.ts'
import type { Caches } from './caches.ts'
import { ChildObjects } from './child-objects.ts'
import { desired } from './desired/desired.ts'
import { type Component, processorName, producerName, selectorOf, selectorText } from './desired/names.ts'
import type { OperatorSettings, Owner } from './desired/observed.ts'
import { podsOfTemplate, templateMark } from './desired/template.ts'
import type { Events } from './events.ts'
import { Finalizer } from './finalize.ts'
import { isKubeError, type KubeClient } from './kube/client.ts'
import { DEPLOYMENT, KAFKA_TOPIC, type KubeObject, POD_MONITOR } from './kube/resources.ts'
import { UNKNOWN } from './observe/figures.ts'
import { Observer } from './observe/observer.ts'
import { isReady, type Trouble, troublesOf } from './observe/pods.ts'
import { refusalsOf } from './observe/refusals.ts'
import { beginPass, type DecidedPass, type ObservedPass, type Pass } from './pass.ts'
import { refusedPodSettings } from './pod-permissions.ts'
import type { Clock } from './ports.ts'
import type { Removals } from './removals.ts'
import { Autoscaler, type Scaling, type ScalingDecision } from './scaling/autoscaler.ts'
import type { Status } from './status/input.ts'
import { blocking } from './status/ready.ts'
import { overdueIn } from './status/rollout.ts'
import { deriveStatus } from './status/status.ts'
import { StatusWriter, type WriterDeps } from './status/writer.ts'
import { Topics } from './topics/topics.ts'
import { foreignTopic, missingTopic, NO_TOPIC, topicNotice } from './topics/use.ts'

/** How often the status of running workers is fetched. */
const OBSERVE_EVERY_MS = 5000
/** An object that blocks us is not ours, and namespaces are not watched. */
const RETRY_REFUSED_MS = 10_000
const PRODUCERS: Component[] = ['ingest', 'load']
/** How often a pipeline that is being deleted is checked for remaining pods. */
const CHECK_DELETION_MS = 1000

export type Deps = {
  client: KubeClient
  caches: Caches
  applier: Applier
  events: Events
  clock: Clock
  settings: OperatorSettings
  removals: Pick<Removals, 'keys' | 'token'>
  onRefused: WriterDeps['onRefused']
  /** Called with each pipeline's status in every pass, and with null when the pipeline is deleted. */
  onStatus: (key: string, status: Status | null) => void
  /** Called when the autoscaler changed the number of workers. */
  onScaled: (owner: Owner, from: number, to: number) => void
  /** Called for each dead worker that was removed from its consumer group. */
  onExpelled: (owner: Owner, pod: string) => void
}

export class Reconciler {
  readonly #deps: Deps
  readonly #status: StatusWriter
  readonly #observer: Observer
  readonly #finalizer: Finalizer
  readonly #childObjects: ChildObjects
  readonly #topics: Topics
  readonly #autoscaler = new Autoscaler()
  /** Pipelines whose last apply was refused: they are not scaled until an apply succeeds. */
  readonly #refused = new Set<string>()

  constructor(deps: Deps) {
    this.#deps = deps
    this.#status = new StatusWriter(deps)
    this.#topics = new Topics(deps)
    this.#finalizer = new Finalizer({ ...deps, topics: this.#topics })
    this.#childObjects = new ChildObjects(deps)
    this.#observer = new Observer(deps)
  }

  /** Resolves with the ms until the next pass; undefined: when something changes. Rejects with what a retry may fix. */
  async reconcile(key: string, signal: AbortSignal): Promise<number | undefined> {
    const resource = this.#deps.caches.pipelines.get(key)
    if (!resource) {
      this.#forget(key)
      return undefined
    }
    const pass = beginPass(resource, signal)
    if (resource.metadata.deletionTimestamp) return this.#finalize(pass)
    await this.#finalizer.ensure(pass)
    const observed = await this.#observe(pass)
    const decided = this.#decide(observed)
    const applied = await this.#apply(decided)
    return this.#updateStatus(applied)
  }

  async #observe(pass: Pass): Promise<ObservedPass> {
    const { owner, spec, signal } = pass
    const observation = await this.#observer.observe(owner, spec)
    const topic = await this.#topics.use(owner, spec, signal)
    return { ...pass, observation, running: this.#running(owner), topic }
  }

  #decide(pass: ObservedPass): DecidedPass {
    const { spec, specFaults, running } = pass
    const refused = spec && this.#refusedPodSettings(pass, spec)
    if (spec && !refused)
      return { ...pass, decision: this.#decideScaling(pass, spec), obstacle: this.#missingPrerequisites(pass, spec) }
    const obstacle: Trouble = refused ?? { reason: 'SpecInvalid', message: specFaults }
    return { ...pass, spec: null, decision: unscaled(pass, running ?? 0), obstacle }
  }

  #decideScaling(pass: ObservedPass, spec: Spec): ScalingDecision {
    const { key, running, observation, resource } = pass
    // A pipeline without workers has nothing to measure; one that cannot be applied cannot be scaled.
    if (!running || this.#refused.has(key)) return unscaled(pass, this.#autoscaler.desiredWorkers(key, spec, running))
    const isBlocked = observation.reports.some(report => blocking(report).length > 0)
    // Blocked workers do not show what they could do.
    const figures = isBlocked ? UNKNOWN : observation.figures
    return this.#autoscaler.decide(key, spec, figures, running, this.#deps.clock.now(), currentScaling(resource))
  }

  #refusedPodSettings({ owner }: ObservedPass, spec: Spec): Trouble | null {
    const { caches, settings } = this.#deps
    return refusedPodSettings(spec, settings.allowed, name => caches.secretLabels(`${owner.namespace}/${name}`))
  }

  /** Returns the first missing prerequisite that the operator cannot create itself. */
  #missingPrerequisites({ topic }: ObservedPass, spec: Spec): Trouble | null {
    if (spec.source.strimzi && !this.#deps.caches.serves(KAFKA_TOPIC))
      return {
        reason: 'StrimziNotInstalled',
        message:
          'the cluster has no resource type KafkaTopic; install Strimzi, which the operator notices within a minute, or create the topic yourself and remove spec.source.strimzi',
      }
    return topic.refusal
  }

  /** Returns the pass with the decision as it took effect: when an object is refused, nothing is scaled. */
  async #apply(pass: DecidedPass): Promise<DecidedPass> {
    const { key, owner, spec, running, decision, signal } = pass
    if (!spec) return pass
    const objects = this.#desiredObjects(pass, spec)
    try {
      await this.#childObjects.apply(owner, objects, signal)
    } catch (error) {
      if (!(error instanceof NotOurs) && !isKubeError(error, 400, 403, 422) && !isUnknownField(error)) throw error
      this.#refused.add(key)
      const reason = error instanceof NotOurs ? 'ObjectConflict' : 'ApplyRejected'
      const kept = unscaled(pass, running ?? decision.workers)
      return { ...pass, decision: kept, obstacle: { reason, message: error.message } }
    }
    this.#refused.delete(key)
    await this.#recordScaling(pass)
    const workers = objects.find(
      ({ kind, metadata }) => kind === 'Deployment' && metadata.name === processorName(owner),
    )
    return { ...pass, template: templateMark(workers!) }
  }

  #desiredObjects({ owner, resource, decision, topic }: DecidedPass, spec: Spec): KubeObject[] {
    const { caches, settings, removals } = this.#deps
    return desired({
      owner,
      document: resource.spec as object,
      spec,
      settings,
      replicas: decision.workers,
      has: { podMonitor: caches.serves(POD_MONITOR), kafkaTopic: topic.isOurs },
      removalKeys: removals.keys,
    })
  }

  /** Only after the Deployment was applied: a refused change must not count, nor appear in Events and metrics. */
  async #recordScaling({ key, owner, decision, signal }: DecidedPass): Promise<void> {
    this.#autoscaler.accept(key, decision)
    if (!decision.change) return
    const { from, to, reason } = decision.change
    this.#deps.onScaled(owner, from, to)
    await this.#deps.events.record(owner, 'Normal', 'Scaled', `${from} → ${to} workers: ${reason}`, signal)
  }

  async #updateStatus(pass: DecidedPass): Promise<number | undefined> {
    const { key, resource, owner, observation, decision, topic, signal } = pass
    const { pods, reports, figures } = observation
    const status = deriveStatus({
      generation: resource.metadata.generation ?? 0,
      now: this.#deps.clock.now(),
      previous: (resource.status ?? {}) as Partial<Status>,
      spec: pass.spec,
      workers: {
        replicas: pods.length,
        ready: pods.filter(isReady).length,
        desired: decision.workers,
        selector: selectorText(selectorOf(owner, 'processor')),
      },
      obstacle: pass.obstacle ?? missingTopic(topic, reports),
      topic: { foreign: foreignTopic(topic), notice: topicNotice(topic) },
      current: podsOfTemplate(pods, pass.template),
      unready: pods.filter(pod => !isReady(pod)).map(({ metadata }) => metadata.name),
      // Without its producers, results still reach every sink.
      notices: PRODUCERS.flatMap(component => this.#troublesOfProducer(owner, component)),
      troubles: [...troublesOf(pods), ...refusalsOf(this.#deployment(owner))],
      reports,
      figures,
      scaling: decision.scaling,
    })
    this.#deps.onStatus(key, status)
    const writeAgainIn = await this.#status.write(resource, owner, status, signal)
    const observeAgainIn = pods.length > 0 ? OBSERVE_EVERY_MS : undefined
    const isRefused = this.#refused.has(key) || topic.refusal !== null
    const applyAgainIn = pass.spec && isRefused ? RETRY_REFUSED_MS : undefined
    return soonest(writeAgainIn, observeAgainIn, applyAgainIn, overdueIn(status, this.#deps.clock.now()))
  }

  #running(owner: Owner): number | undefined {
    return (this.#deployment(owner)?.spec as { replicas?: number } | undefined)?.replicas
  }

  #deployment(owner: Owner): KubeObject | undefined {
    return this.#deps.caches.child(DEPLOYMENT, `${owner.namespace}/${processorName(owner)}`)
  }

  #troublesOfProducer(owner: Owner, component: Component): Trouble[] {
    const { caches } = this.#deps
    const deployment = caches.child(DEPLOYMENT, `${owner.namespace}/${producerName(owner, component)}`)
    return [...troublesOf(caches.podsOf(owner, component)), ...refusalsOf(deployment)]
  }

  async #finalize(pass: Pass): Promise<number | undefined> {
    const obstacle = await this.#finalizer.run(pass)
    if (!obstacle) return undefined
    const { owner } = pass
    const running = this.#running(owner)
    const observation = { pods: this.#deps.caches.podsOf(owner, 'processor'), reports: [], figures: UNKNOWN }
    const observed = { ...pass, spec: null, observation, running, topic: NO_TOPIC }
    await this.#updateStatus({ ...observed, decision: unscaled(pass, running ?? 0), obstacle })
    return CHECK_DELETION_MS
  }

  #forget(key: string): void {
    this.#observer.forget(key)
    this.#autoscaler.forget(key)
    this.#refused.delete(key)
    this.#status.forget(key)
    this.#deps.applier.forget(key)
    this.#deps.events.forget(key)
    this.#deps.onStatus(key, null)
  }
}

/** The autoscaler decides nothing, and its part of the status stays as it is. */
function unscaled({ resource }: Pass, workers: number): ScalingDecision {
  return { workers, scaling: currentScaling(resource), change: null }
}

function currentScaling({ status }: KubeObject): Scaling {
  const { autoscale, lastScale } = (status ?? {}) as Scaling
  return { ...(autoscale && { autoscale }), ...(lastScale && { lastScale }) }
}

function soonest(...times: (number | undefined)[]): number | undefined {
  const known = times.filter(ms => ms !== undefined)
  return known.length > 0 ? Math.min(...known) : undefined
}
