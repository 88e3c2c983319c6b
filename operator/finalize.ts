/**
 * Cleans up after a deleted pipeline with spec.deletionPolicy: delete: first its workloads, so that nothing writes any more;
 * then its data; then the finalizer is removed. A step that fails is retried. Only if the namespace is being deleted, too, are
 * steps skipped that would keep it for ever; then the log and an Event of the operator name the data that is left.
 */
import type { ReportedCode } from '#pipeline/conditions.ts'
import type { Spec } from '#pipeline/schema.ts'
import { deletesData } from '#pipeline/spellings.ts'
import type { Applier } from './apply.ts'
import type { Caches } from './caches.ts'
import { COMPONENT, FINALIZER, isOurs, labelsOf, removalName, selectorText } from './desired/names.ts'
import type { OperatorSettings, Owner } from './desired/observed.ts'
import { removalJob } from './desired/removal.ts'
import type { Events } from './events.ts'
import { isKubeError, type KubeClient } from './kube/client.ts'
import {
  DEPLOYMENT,
  JOB,
  type KubeObject,
  keyOf,
  NAMESPACE,
  POD,
  REPLICA_SET,
  SALES_PIPELINE,
} from './kube/resources.ts'
import { leftBehind } from './left-behind.ts'
import { addressOf } from './observe/observer.ts'
import { type Trouble, troubleOf } from './observe/pods.ts'
import { fetchStatus } from './observe/report.ts'
import type { Pass } from './pass.ts'
import { withPermittedPods } from './pod-permissions.ts'
import type { Clock } from './ports.ts'
import type { Topics } from './topics/topics.ts'

export type FinalizerDeps = {
  client: KubeClient
  caches: Caches
  applier: Applier
  events: Events
  clock: Clock
  settings: OperatorSettings
  topics: Topics
}

const RETAIN_HINT = 'To delete the pipeline and keep its data, set spec.deletionPolicy to retain'
/** In a namespace that is being deleted no Job can start. The status shows this for a while, then the namespace must go. */
const RELEASE_AFTER_MS = 60_000
/** A pod of a Job exists within seconds, if Kubernetes accepts it. */
const POD_WITHIN_MS = 30_000

/** `waitsFor`: null once the finalizer may be removed. `kept`: sentences about what stays. */
type Progress = { waitsFor: Trouble | null; kept: string[] }

const DONE: Progress = { waitsFor: null, kept: [] }
const waitingFor = (waitsFor: Trouble): Progress => ({ waitsFor, kept: [] })

/** Without the finalizer, Kubernetes deletes a pipeline at once, and then the objects that it owns. */
const needsFinalizer = ({ spec }: KubeObject) => deletesData((spec ?? {}) as object)

export class Finalizer {
  readonly #deps: FinalizerDeps

  constructor(deps: FinalizerDeps) {
    this.#deps = deps
  }

  /** Sets the finalizer, or removes it: releases up to 0.3.0 gave it to every pipeline. */
  async ensure({ resource, signal }: Pass): Promise<void> {
    const { metadata } = resource
    const { finalizers = [], resourceVersion } = metadata
    if (finalizers.includes(FINALIZER) === needsFinalizer(resource)) return
    const others = finalizers.filter(name => name !== FINALIZER)
    const wanted = needsFinalizer(resource) ? [...others, FINALIZER] : others
    const patch = { metadata: { finalizers: wanted, resourceVersion } }
    await this.#deps.client.mergePatch(SALES_PIPELINE, metadata, patch, signal)
  }

  /** Resolves with what the deletion waits for, or with null once the finalizer is removed. */
  async run(pass: Pass): Promise<Trouble | null> {
    const { resource, owner, signal } = pass
    const { finalizers = [], resourceVersion } = resource.metadata
    if (!finalizers.includes(FINALIZER)) return null
    // The policy may have changed after the Job started: it must not continue.
    if (!needsFinalizer(resource)) await this.#removeJob(owner, signal)
    const { waitsFor, kept } = needsFinalizer(resource) ? await this.#remove(pass) : DONE
    if (waitsFor) return waitsFor
    const patch = { metadata: { finalizers: finalizers.filter(name => name !== FINALIZER), resourceVersion } }
    const { client, events } = this.#deps
    await client.mergePatch(SALES_PIPELINE, resource.metadata, patch, signal)
    await events.recordOnce(owner, 'Normal', 'CleanedUp', ['finalizer removed', ...kept].join('. '), signal)
    // Delete the Job last: if it disappeared earlier we would recreate it. If this fails, its TTL cleans up.
    await this.#removeJob(owner, signal)
    return null
  }

  /** Waits without end for what may recover, unless the namespace is being deleted, too. */
  async #remove(pass: Pass): Promise<Progress> {
    const { owner, spec, signal } = pass
    const deletedAt = await this.#namespaceDeletedAt(owner, signal)
    const progress = (await this.#removeWorkloads(owner, signal)) ?? (await this.#removeData(pass, deletedAt !== null))
    if (!progress.waitsFor || deletedAt === null) return progress
    const releaseAt = deletedAt + RELEASE_AFTER_MS
    const data = leftBehind(owner, spec)
    if (this.#deps.clock.now() < releaseAt) {
      const at = new Date(releaseAt).toISOString().replace(/\.\d+/, '')
      const message = `namespace ${owner.namespace} is being deleted: ${progress.waitsFor.message}. At ${at} the finalizer is removed, and this data stays: ${data}`
      return waitingFor({ reason: 'DeletionWaits', message })
    }
    // A KafkaTopic in another namespace can still be deleted, but nobody waits for it.
    const { kept } = await this.#deps.topics.remove(owner, pass.resource.spec, signal)
    const left = [`namespace deleted before the data could be removed; left: ${data}. Remove it by hand`, ...kept]
    const { events, settings } = this.#deps
    await events.recordLasting(settings.namespace, owner, 'DataLeft', left.join('. '), signal)
    return { waitsFor: null, kept: left }
  }

  /** ms since the epoch; null while the namespace stays, or if the operator may not read it. */
  async #namespaceDeletedAt({ namespace }: Owner, signal: AbortSignal): Promise<number | null> {
    const found = await this.#deps.client.find(NAMESPACE, '', namespace, signal).catch(error => {
      if (isKubeError(error, 403)) return null
      throw error
    })
    const at = found?.metadata.deletionTimestamp
    return at === undefined ? null : Date.parse(at)
  }

  async #removeWorkloads(owner: Owner, signal: AbortSignal): Promise<Progress | null> {
    const { caches, client } = this.#deps
    const deployments = caches.childrenOf(owner).filter(({ kind }) => kind === 'Deployment')
    for (const { metadata } of deployments)
      if (!metadata.deletionTimestamp) await client.delete(DEPLOYMENT, metadata, signal)
    const pods = caches.podsOf(owner).filter(isWorkload).length
    const areGone = deployments.length === 0 && pods === 0
    if (areGone && (this.#job(owner) || (await this.#hasNoWorkloads(owner, signal)))) return null
    const what = pods > 0 ? `${pods} pods terminate` : 'the Deployments are deleted'
    return waitingFor({ reason: 'Deleting', message: `waiting until ${what}` })
  }

  /** Asks the API server: the caches may lag behind, and a ReplicaSet that still exists may create another pod. */
  async #hasNoWorkloads(owner: Owner, signal: AbortSignal): Promise<boolean> {
    const options = {
      namespace: owner.namespace,
      labelSelector: selectorText(labelsOf(owner)),
      metadataOnly: true,
      signal,
    }
    for (const resource of [DEPLOYMENT, REPLICA_SET, POD])
      if ((await this.#deps.client.list(resource, options)).items.some(isWorkload)) return false
    return true
  }

  async #removeData(pass: Pass, isNamespaceDeleted: boolean): Promise<Progress> {
    const { resource, owner, spec, specFaults, signal } = pass
    if (!spec) return waitingFor({ reason: 'DeletionWaits', message: `${specFaults}\n${RETAIN_HINT}` })
    const trouble = await this.#removeResults(pass, spec, isNamespaceDeleted)
    if (trouble) return waitingFor(trouble)
    const { waitsFor: topic, kept } = await this.#deps.topics.remove(owner, resource.spec, signal)
    if (!topic) return { waitsFor: null, kept }
    return waitingFor({
      reason: 'Deleting',
      message: `waiting until Strimzi has deleted KafkaTopic ${keyOf(topic)}; if this takes long, check Strimzi's Topic Operator. ${RETAIN_HINT}`,
    })
  }

  #job(owner: Owner): KubeObject | undefined {
    const job = this.#deps.caches.child(JOB, `${owner.namespace}/${removalName(owner)}`)
    return job && isOurs(job, owner) ? job : undefined
  }

  async #removeJob(owner: Owner, signal: AbortSignal): Promise<void> {
    const job = this.#job(owner)
    if (job) await this.#deps.client.delete(JOB, job.metadata, signal)
  }

  /** Resolves with null once a Job has deleted the pipeline's rows and documents. */
  async #removeResults(pass: Pass, spec: Spec, isNamespaceDeleted: boolean): Promise<Trouble | null> {
    const { owner } = pass
    const job = this.#job(owner)
    const status = (job?.status ?? {}) as JobStatus
    if (status.succeeded) return null
    if (!job && isNamespaceDeleted)
      return { reason: 'DeletionWaits', message: 'no Job can start there to remove the data' }
    if (!job) await this.#createJob(pass, spec)
    const pods = this.#deps.caches.podsOf(owner, 'removal')
    const trouble =
      troubleOf(pods) ??
      (await this.#reportedBy(pods)) ??
      failureOf(status, removalName(owner)) ??
      (job && pods.length === 0 ? withoutPods(job, this.#deps.clock.now()) : null)
    if (trouble) return { reason: 'DeletionWaits', message: `${trouble.reason}: ${trouble.message}. ${RETAIN_HINT}` }
    return { reason: 'Deleting', message: 'deleting rows and documents because spec.deletionPolicy is delete' }
  }

  async #createJob({ resource, owner, signal }: Pass, spec: Spec): Promise<void> {
    const { caches, applier, settings } = this.#deps
    const labelsOf = (secret: string) => caches.secretLabels(`${owner.namespace}/${secret}`)
    const permitted = withPermittedPods(spec, settings.allowed, labelsOf)
    const job = removalJob({ owner, document: resource.spec as object, spec: permitted, settings })
    await applier.apply(job, undefined, owner, signal)
  }

  async #reportedBy(pods: KubeObject[]): Promise<Trouble | null> {
    for (const address of pods.flatMap(addressOf)) {
      const [condition] = Object.entries((await fetchStatus(address))?.conditions ?? {})
      if (condition) return { reason: condition[0] as ReportedCode, message: condition[1] }
    }
    return null
  }
}

const isWorkload = ({ metadata }: KubeObject) => metadata.labels?.[COMPONENT] !== 'removal'

/** A Job, unlike a Deployment, has no condition for pods that the API server refuses. `now`: ms since the epoch. */
function withoutPods({ metadata }: KubeObject, now: number): Trouble | null {
  const { namespace, name, creationTimestamp = '' } = metadata
  if (!(now - Date.parse(creationTimestamp) >= POD_WITHIN_MS)) return null
  return {
    reason: 'PodsRefused',
    message: `Job ${name}, which removes the data, has no pod: a ResourceQuota, a LimitRange or an admission policy may refuse it. kubectl -n ${namespace} describe job ${name} shows the reason`,
  }
}

type JobStatus = { succeeded?: number; conditions?: { type: string; message?: string }[] }

function failureOf({ conditions = [] }: JobStatus, job: string): Trouble | null {
  const failed = conditions.find(({ type }) => type === 'Failed')
  return failed
    ? {
        reason: 'RemovalJobFailed',
        message: `Job ${job}, which removes the data, failed: ${failed.message ?? 'its pod crashed'}. Delete this Job to retry`,
      }
    : null
}
