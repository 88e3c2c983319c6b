/** One pipeline: read → desired → apply → observe → status. Everything is looked at anew each time. */
import { checkPipeline, SpecError } from '#pipeline/parse.ts'
import type { Spec } from '#pipeline/schema.ts'
import { sinkSecrets, sourceSecrets } from '#pipeline/secrets.ts'
import { type Applier, NotOurs } from './apply.ts'
import { Children } from './children.ts'
import type { Copies } from './copies.ts'
import { desired } from './desired/desired.ts'
import { FINALIZER, keyOfOwner, processorName, selectorOf, selectorText } from './desired/names.ts'
import type { OperatorSettings, Owner } from './desired/observed.ts'
import type { Events } from './events.ts'
import { Finalizer } from './finalize.ts'
import { isKubeError, type KubeClient } from './kube/client.ts'
import { DEPLOYMENT, KAFKA_TOPIC, type KubeObject, keyOf, POD_MONITOR, SALES_PIPELINE } from './kube/resources.ts'
import { UNKNOWN } from './observe/figures.ts'
import { type Observation, Observer } from './observe/observer.ts'
import { isReady, type Trouble, troubleOf } from './observe/pods.ts'
import type { Clock } from './ports.ts'
import { Autoscaler, type Scaling } from './scaling/autoscaler.ts'
import { blocking, deriveStatus, type Status } from './status/status.ts'
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
  /** What each pipeline's status says, whenever it was looked at; null: the pipeline is gone. */
  told: (key: string, status: Status | null) => void
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
  readonly #children: Children
  readonly #autoscaler = new Autoscaler()

  constructor(deps: Deps) {
    this.#deps = deps
    this.#status = new StatusWriter(deps)
    this.#finalizer = new Finalizer(deps)
    this.#children = new Children(deps)
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
    const invalid: Trouble = { reason: 'SpecInvalid', message: checked.faults.join('\n') }
    return this.#tell(resource, owner, null, invalid, false, signal)
  }

  async #keep(resource: KubeObject, owner: Owner, spec: Spec, signal: AbortSignal): Promise<number | undefined> {
    const secrets = this.#secretsOf(owner, spec)
    const lacking = this.#lacking(owner, spec, secrets)
    let refused: Trouble | null = null
    try {
      await this.#apply(resource, owner, spec, secrets, signal)
    } catch (error) {
      if (!(error instanceof NotOurs) && !isKubeError(error, 400, 403, 422)) throw error
      refused = { reason: error instanceof NotOurs ? 'ObjectConflict' : 'ApplyRejected', message: error.message }
    }
    // What cannot be applied is not decided either.
    const again = await this.#tell(resource, owner, spec, refused ?? lacking, refused === null, signal)
    return refused ? Math.min(again ?? Infinity, REFUSED_EVERY_MS) : again
  }

  /** What the spec needs and only others can make. */
  #lacking({ namespace }: Owner, spec: Spec, secrets: Map<string, string | null>): Trouble | null {
    const missing = [...secrets].filter(([, mark]) => mark === null).map(([name]) => name)
    if (missing.length > 0)
      return {
        reason: 'SecretMissing',
        message: `namespace ${namespace} has no Secret ${missing.join(', ')}: make it, or correct the spec; the workers start by themselves then`,
      }
    if (spec.source.strimzi && !this.#deps.copies.serves(KAFKA_TOPIC))
      return {
        reason: 'StrimziNotInstalled',
        message:
          'the cluster has no KafkaTopics: install Strimzi and restart the operator, or make the topic yourself and leave out spec.source.strimzi',
      }
    return null
  }

  async #apply(
    resource: KubeObject,
    owner: Owner,
    spec: Spec,
    secrets: Map<string, string | null>,
    signal: AbortSignal,
  ) {
    const { copies, settings } = this.#deps
    const wanted = desired({
      owner,
      document: resource.spec as object,
      spec,
      settings,
      replicas: this.#wanted(owner, spec),
      has: { podMonitor: copies.serves(POD_MONITOR), kafkaTopic: copies.serves(KAFKA_TOPIC) },
      secrets,
    })
    await this.#children.make(owner, wanted, signal)
  }

  /** `mayScale`: whether another number of workers could be made so. */
  async #tell(
    resource: KubeObject,
    owner: Owner,
    spec: Spec | null,
    obstacle: Trouble | null,
    mayScale: boolean,
    signal: AbortSignal,
  ): Promise<number | undefined> {
    const observation = await this.#observer.observe(owner, spec)
    const before = this.#running(owner)
    const scaling =
      spec && mayScale && before
        ? await this.#scale(resource, owner, spec, observation, before, signal)
        : said(resource)
    const wanted = spec ? this.#wanted(owner, spec) : (before ?? 0)
    const wait = await this.#write(resource, owner, spec, obstacle, observation, scaling, before ?? wanted, signal)
    // The new number of workers is applied at once.
    if (mayScale && before && wanted !== before) return SCALE_AGAIN_MS
    return observation.pods.length > 0 ? Math.min(ASK_EVERY_MS, wait ?? ASK_EVERY_MS) : wait
  }

  #write(
    resource: KubeObject,
    owner: Owner,
    spec: Spec | null,
    obstacle: Trouble | null,
    { pods, reports, figures }: Observation,
    scaling: Scaling,
    desired: number,
    signal: AbortSignal,
  ): Promise<number | undefined> {
    const selector = selectorText(selectorOf(owner, 'processor'))
    const ready = pods.filter(isReady).length
    const status = deriveStatus({
      generation: resource.metadata.generation ?? 0,
      now: this.#deps.clock.now(),
      previous: (resource.status ?? {}) as Partial<Status>,
      workers: { replicas: pods.length, ready, desired, selector },
      trouble: troubleOf(pods),
      ...{ spec, obstacle, reports, figures, scaling },
    })
    this.#deps.told(keyOf(resource), status)
    return this.#status.write(resource, owner, status, signal)
  }

  /** Of the Deployment, as the cluster has it; undefined: there is none yet. */
  #running(owner: Owner): number | undefined {
    const deployment = this.#deps.copies.child(DEPLOYMENT, `${owner.namespace}/${processorName(owner)}`)
    return (deployment?.spec as { replicas?: number } | undefined)?.replicas
  }

  #wanted(owner: Owner, spec: Spec): number {
    return this.#autoscaler.wanted(keyOfOwner(owner), spec, this.#running(owner))
  }

  async #scale(
    resource: KubeObject,
    owner: Owner,
    spec: Spec,
    { reports, figures }: Observation,
    running: number,
    signal: AbortSignal,
  ): Promise<Scaling> {
    // Workers that cannot work show nothing of what they could do.
    const known = reports.some(report => blocking(report).length > 0) ? UNKNOWN : figures
    const now = this.#deps.clock.now()
    const { scaling, change } = this.#autoscaler.observe(keyOf(resource), spec, known, running, now, said(resource))
    if (change) {
      const { from, to, reason } = change
      this.#deps.scaled(owner, from, to)
      await this.#deps.events.tellChange(owner, 'Normal', 'Scaled', `${from} → ${to} workers: ${reason}`, signal)
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
    const observation = { pods, reports: [], figures: UNKNOWN }
    await this.#write(resource, owner, null, waits, observation, said(resource), this.#running(owner) ?? 0, signal)
    return GONE_EVERY_MS
  }

  #forget(key: string): void {
    this.#observer.forget(key)
    this.#autoscaler.forget(key)
    this.#status.forget(key)
    this.#deps.applier.forget(key)
    this.#deps.events.forget(key)
    this.#deps.told(key, null)
  }
}

/** Of scaling, by the status as it is. */
function said({ status }: KubeObject): Scaling {
  const { autoscale, lastScale } = (status ?? {}) as Scaling
  return { ...(autoscale && { autoscale }), ...(lastScale && { lastScale }) }
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
