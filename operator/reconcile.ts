/** One pipeline: read → desired → apply → observe → status. Everything is looked at anew each time. */
import { checkPipeline, SpecError } from '#pipeline/parse.ts'
import type { Spec } from '#pipeline/schema.ts'
import { sinkSecrets, sourceSecrets } from '#pipeline/secrets.ts'
import { type Applier, NotOurs, resourceOf } from './apply.ts'
import type { Copies } from './copies.ts'
import { desired, type OperatorSettings, type Owner } from './desired/desired.ts'
import { FINALIZER, isOurs, processorName, selectorOf, selectorText } from './desired/names.ts'
import type { Events } from './events.ts'
import { Finalizer } from './finalize.ts'
import { isKubeError, type KubeClient } from './kube/client.ts'
import { DEPLOYMENT, KAFKA_TOPIC, type KubeObject, keyOf, POD_MONITOR, SALES_PIPELINE } from './kube/resources.ts'
import { type Figures, UNKNOWN } from './observe/figures.ts'
import { type Observation, Observer } from './observe/observer.ts'
import { isReady, type Trouble, troubleOf } from './observe/pods.ts'
import type { Clock } from './ports.ts'
import { Autoscaler, type Scaling } from './scaling/autoscaler.ts'
import { type Status, statusOf } from './status/status.ts'
import { StatusWriter } from './status/writer.ts'

/** How often workers are asked how they do. */
const ASK_EVERY_MS = 5000
/** What stands in the way may go without a word to us: it has not our labels. */
const REFUSED_EVERY_MS = 10_000
/** Until a new number of workers is seen in the cluster. */
const SCALE_AGAIN_MS = 500
/** How often pods of a pipeline that is being deleted are looked for. */
const GONE_EVERY_MS = 1000

export type Deps = {
  client: KubeClient
  copies: Copies
  applier: Applier
  events: Events
  clock: Clock
  settings: OperatorSettings
  /** Told of every change of the number of workers that was decided here. */
  scaled: (owner: Owner, from: number, to: number) => void
  /** Told of each worker that was found gone and removed from its consumer group. */
  expelled: (owner: Owner, pod: string) => void
}

export class Reconciler {
  readonly #deps: Deps
  readonly #status: StatusWriter
  readonly #observer: Observer
  readonly #finalizer: Finalizer
  readonly #autoscaler = new Autoscaler()

  constructor(deps: Deps) {
    this.#deps = deps
    this.#status = new StatusWriter(deps)
    this.#finalizer = new Finalizer(deps)
    this.#observer = new Observer(deps.copies, deps.clock, deps.expelled)
  }

  /** Answers in how many ms to look again; undefined: when something changes. Throws what a retry may heal. */
  async reconcile(key: string, signal: AbortSignal): Promise<number | undefined> {
    const resource = this.#deps.copies.pipelines.get(key)
    if (!resource) {
      this.#forget(key)
      return undefined
    }
    const owner = ownerOf(resource)
    const checked = check(resource)
    if (resource.metadata.deletionTimestamp) return this.#finalize(resource, owner, checked, signal)
    await this.#ensureFinalizer(resource, signal)
    if (!(checked instanceof SpecError)) return this.#keep(resource, owner, checked, signal)
    return this.#tell(resource, owner, null, { reason: 'SpecInvalid', message: checked.faults.join('\n') }, signal)
  }

  async #keep(resource: KubeObject, owner: Owner, spec: Spec, signal: AbortSignal): Promise<number | undefined> {
    const secrets = this.#secretsOf(owner, spec)
    const missing = [...secrets].filter(([, mark]) => mark === null).map(([name]) => name)
    let refused = false
    let obstacle: Trouble | null =
      missing.length === 0
        ? null
        : {
            reason: 'SecretMissing',
            message: `namespace ${owner.namespace} has no Secret ${missing.join(', ')}: make it, or correct the spec; the workers start by themselves then`,
          }
    try {
      await this.#apply(resource, owner, spec, secrets, signal)
    } catch (error) {
      if (!(error instanceof NotOurs) && !isKubeError(error, 400, 403, 422)) throw error
      refused = true
      obstacle = { reason: error instanceof NotOurs ? 'NotOurs' : 'ApplyRefused', message: error.message }
    }
    const again = await this.#tell(resource, owner, spec, obstacle, signal)
    return refused ? Math.min(again ?? Infinity, REFUSED_EVERY_MS) : again
  }

  async #apply(
    resource: KubeObject,
    owner: Owner,
    spec: Spec,
    secrets: Map<string, string | null>,
    signal: AbortSignal,
  ) {
    const { copies, applier, events, settings } = this.#deps
    const wanted = desired({
      owner,
      document: resource.spec as object,
      spec,
      settings,
      replicas: this.#autoscaler.wanted(keyOf(resource), spec, (resource.status ?? {}) as Scaling),
      has: { podMonitor: copies.serves(POD_MONITOR), kafkaTopic: copies.serves(KAFKA_TOPIC) },
      secrets,
    })
    for (const object of wanted) {
      const live = copies.child(resourceOf(object), keyOf(object))
      const outcome = await applier.apply(object, live, owner, signal)
      if (outcome === 'created')
        await events.tell(owner, 'Normal', 'Created', `${object.kind} ${object.metadata.name}`, signal)
    }
    await this.#prune(owner, wanted, signal)
  }

  /** What the spec asked for once and no longer does. A topic holds data: it stays until somebody deletes it. */
  async #prune(owner: Owner, wanted: KubeObject[], signal: AbortSignal): Promise<void> {
    const { copies, client, events } = this.#deps
    const names = new Set(wanted.map(object => `${object.kind} ${keyOf(object)}`))
    for (const object of copies.childrenOf(owner)) {
      if (object.kind === 'KafkaTopic' || object.metadata.deletionTimestamp) continue
      if (names.has(`${object.kind} ${keyOf(object)}`) || !isOurs(object, owner)) continue
      await client.delete(resourceOf(object), object.metadata, signal)
      await events.tell(owner, 'Normal', 'Deleted', `${object.kind} ${object.metadata.name}`, signal)
    }
  }

  async #tell(resource: KubeObject, owner: Owner, spec: Spec | null, obstacle: Trouble | null, signal: AbortSignal) {
    const observation = await this.#observer.observe(owner, spec)
    const desiredWorkers = this.#desiredWorkers(owner)
    const scaling = await this.#scale(resource, owner, spec, observation.figures, desiredWorkers, signal)
    const wait = await this.#write(resource, owner, spec, obstacle, observation, scaling, signal)
    // The new number of workers is applied at once.
    if (scaling.autoscale && spec?.workers.autoscale.mode === 'active' && scaling.autoscale.target !== desiredWorkers)
      return SCALE_AGAIN_MS
    return observation.pods.length > 0 ? Math.min(ASK_EVERY_MS, wait ?? ASK_EVERY_MS) : wait
  }

  #write(
    resource: KubeObject,
    owner: Owner,
    spec: Spec | null,
    obstacle: Trouble | null,
    { pods, reports, figures }: Observation,
    scaling: Scaling,
    signal: AbortSignal,
  ): Promise<number | undefined> {
    const selector = selectorText(selectorOf(owner, 'processor'))
    const ready = pods.filter(isReady).length
    const status = statusOf({
      generation: resource.metadata.generation ?? 0,
      now: this.#deps.clock.now(),
      previous: (resource.status ?? {}) as Partial<Status>,
      workers: { replicas: pods.length, ready, desired: this.#desiredWorkers(owner), selector },
      trouble: troubleOf(pods),
      ...{ spec, obstacle, reports, figures, scaling },
    })
    return this.#status.write(resource, owner, status, signal)
  }

  #desiredWorkers(owner: Owner): number {
    const deployment = this.#deps.copies.child(DEPLOYMENT, `${owner.namespace}/${processorName(owner)}`)
    return (deployment?.spec as { replicas?: number } | undefined)?.replicas ?? 0
  }

  async #scale(
    resource: KubeObject,
    owner: Owner,
    spec: Spec | null,
    figures: Figures,
    current: number,
    signal: AbortSignal,
  ) {
    const before = (resource.status ?? {}) as Scaling
    // Before the workers are made there is nothing to decide.
    if (!spec || current === 0) return before.lastScale ? { lastScale: before.lastScale } : {}
    const scaling = this.#autoscaler.observe(keyOf(resource), spec, figures, current, this.#deps.clock.now(), before)
    const { lastScale } = scaling
    if (lastScale && lastScale !== before.lastScale && lastScale.at !== before.lastScale?.at) {
      this.#deps.scaled(owner, lastScale.from, lastScale.to)
      await this.#deps.events.tell(
        owner,
        'Normal',
        'Scaled',
        `${lastScale.from} → ${lastScale.to} workers: ${lastScale.reason}`,
        signal,
      )
    }
    return scaling
  }

  #secretsOf({ namespace }: Owner, spec: Spec): Map<string, string | null> {
    const names = new Set([...sourceSecrets(spec), ...sinkSecrets(spec)].map(({ name }) => name))
    return new Map([...names].sort().map(name => [name, this.#deps.copies.secretMark(`${namespace}/${name}`)]))
  }

  async #ensureFinalizer({ metadata }: KubeObject, signal: AbortSignal): Promise<void> {
    const { finalizers = [], resourceVersion } = metadata
    if (finalizers.includes(FINALIZER)) return
    const patch = { metadata: { finalizers: [...finalizers, FINALIZER], resourceVersion } }
    await this.#deps.client.mergePatch(SALES_PIPELINE, metadata, patch, signal)
  }

  async #finalize(resource: KubeObject, owner: Owner, checked: Spec | SpecError, signal: AbortSignal) {
    const [spec, faults] = checked instanceof SpecError ? [null, checked.faults.join('\n')] : [checked, '']
    const waits = await this.#finalizer.run(resource, owner, spec, faults, signal)
    if (!waits) return undefined
    const pods = this.#deps.copies.podsOf(owner, 'processor')
    await this.#write(resource, owner, null, waits, { pods, reports: [], figures: UNKNOWN }, {}, signal)
    return GONE_EVERY_MS
  }

  #forget(key: string): void {
    this.#observer.forget(key)
    this.#autoscaler.forget(key)
    this.#status.forget(key)
    this.#deps.events.forget(key)
  }
}

function check(resource: KubeObject): Spec | SpecError {
  const { apiVersion, kind, metadata, spec } = resource
  const { name, namespace } = metadata
  try {
    return checkPipeline({ apiVersion, kind, metadata: { name, namespace }, spec }, `${namespace}/${name}`).spec
  } catch (error) {
    if (error instanceof SpecError) return error
    throw error
  }
}

function ownerOf({ apiVersion, kind, metadata }: KubeObject): Owner {
  return { apiVersion, kind, namespace: metadata.namespace!, name: metadata.name, uid: metadata.uid! }
}
