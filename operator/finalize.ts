/**
 * Cleans up after a deleted pipeline: first its workloads, so that nothing writes any more; then its data, if
 * spec.deletionPolicy says so; then the finalizer is removed. A step that fails is retried, never skipped.
 */
import type { ReportedCode } from '#pipeline/conditions.ts'
import type { Spec } from '#pipeline/schema.ts'
import type { Applier } from './apply.ts'
import type { Caches } from './caches.ts'
import { COMPONENT, FINALIZER, isOurs, labelsOf, removalName, selectorText } from './desired/names.ts'
import type { OperatorSettings, Owner } from './desired/observed.ts'
import { removalJob } from './desired/removal.ts'
import type { Events } from './events.ts'
import type { KubeClient } from './kube/client.ts'
import {
  DEPLOYMENT,
  JOB,
  KAFKA_TOPIC,
  type KubeObject,
  keyOf,
  POD,
  REPLICA_SET,
  SALES_PIPELINE,
} from './kube/resources.ts'
import { addressOf } from './observe/observer.ts'
import { type Trouble, troubleOf } from './observe/pods.ts'
import { fetchStatus } from './observe/report.ts'
import type { Pass } from './pass.ts'
import { withPermittedPods } from './pod-permissions.ts'

export type FinalizerDeps = {
  client: KubeClient
  caches: Caches
  applier: Applier
  events: Events
  settings: OperatorSettings
}

const RETAIN_HINT = 'To delete the pipeline and keep its data, set spec.deletionPolicy to retain'

export class Finalizer {
  readonly #deps: FinalizerDeps

  constructor(deps: FinalizerDeps) {
    this.#deps = deps
  }

  /** Resolves with what the deletion waits for, or with null once the finalizer is removed. */
  async run(pass: Pass): Promise<Trouble | null> {
    const { resource, owner, signal } = pass
    const { finalizers = [], resourceVersion } = resource.metadata
    if (!finalizers.includes(FINALIZER)) return null
    const pending = (await this.#removeWorkloads(owner, signal)) ?? (await this.#removeData(pass))
    if (pending) return pending
    const patch = { metadata: { finalizers: finalizers.filter(name => name !== FINALIZER), resourceVersion } }
    const { client, events } = this.#deps
    await client.mergePatch(SALES_PIPELINE, resource.metadata, patch, signal)
    await events.recordOnce(owner, 'Normal', 'CleanedUp', 'all objects of the pipeline are deleted', signal)
    // Delete the Job last: if it disappeared earlier we would recreate it. If this fails, its TTL cleans up.
    await this.#removeJob(owner, signal)
    return null
  }

  async #removeWorkloads(owner: Owner, signal: AbortSignal): Promise<Trouble | null> {
    const { caches, client } = this.#deps
    const deployments = caches.childrenOf(owner).filter(({ kind }) => kind === 'Deployment')
    for (const { metadata } of deployments)
      if (!metadata.deletionTimestamp) await client.delete(DEPLOYMENT, metadata, signal)
    const pods = caches.podsOf(owner).filter(isWorkload).length
    const areGone = deployments.length === 0 && pods === 0
    if (areGone && (this.#job(owner) || (await this.#hasNoWorkloads(owner, signal)))) return null
    return { reason: 'Deleting', message: `waiting for ${pods} pods to terminate` }
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

  async #removeData({ resource, owner, spec, specFaults, signal }: Pass): Promise<Trouble | null> {
    const document = resource.spec as { deletionPolicy?: string }
    if (document.deletionPolicy !== 'delete') {
      // The policy may have changed after the Job started: it must not continue.
      await this.#removeJob(owner, signal)
      return null
    }
    if (!spec) return { reason: 'DeletionWaits', message: `${specFaults}\n${RETAIN_HINT}` }
    return (await this.#removeResults(document, owner, spec, signal)) ?? (await this.#removeTopic(owner, signal))
  }

  async #removeTopic(owner: Owner, signal: AbortSignal): Promise<Trouble | null> {
    const { caches, client } = this.#deps
    const topic = caches.childrenOf(owner).find(({ kind }) => kind === 'KafkaTopic')
    if (!topic) return null
    if (!topic.metadata.deletionTimestamp) await client.delete(KAFKA_TOPIC, topic.metadata, signal)
    return {
      reason: 'Deleting',
      message: `waiting until Strimzi has deleted KafkaTopic ${keyOf(topic)}; if this takes long, check Strimzi's Topic Operator. ${RETAIN_HINT}`,
    }
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
  async #removeResults(document: object, owner: Owner, spec: Spec, signal: AbortSignal): Promise<Trouble | null> {
    const { caches, applier, settings } = this.#deps
    const job = this.#job(owner)
    const status = (job?.status ?? {}) as JobStatus
    if (status.succeeded) return null
    const labelsOf = (secret: string) => caches.secretLabels(`${owner.namespace}/${secret}`)
    const permitted = withPermittedPods(spec, settings.allowed, labelsOf)
    if (!job) await applier.apply(removalJob({ owner, document, spec: permitted, settings }), job, owner, signal)
    const pods = caches.podsOf(owner, 'removal')
    const trouble = troubleOf(pods) ?? (await this.#reportedBy(pods)) ?? failureOf(status, removalName(owner))
    if (trouble) return { reason: 'DeletionWaits', message: `${trouble.reason}: ${trouble.message}. ${RETAIN_HINT}` }
    return { reason: 'Deleting', message: 'deleting rows and documents because spec.deletionPolicy is delete' }
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
