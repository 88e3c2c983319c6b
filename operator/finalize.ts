/**
 * What happens to a pipeline that is being deleted: its workloads go first, so that nobody writes any more; then what
 * spec.deletionPolicy says of the data; then it is let go. Nothing is skipped because it fails.
 */
import type { ReportedCode } from '#pipeline/conditions.ts'
import type { Spec } from '#pipeline/schema.ts'
import type { Applier } from './apply.ts'
import type { Copies } from './copies.ts'
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
import { askWorker } from './observe/report.ts'

export type FinalizerDeps = {
  client: KubeClient
  copies: Copies
  applier: Applier
  events: Events
  settings: OperatorSettings
}

const WITHOUT = 'To let the pipeline go and keep what is stored, set spec.deletionPolicy to retain'

export class Finalizer {
  readonly #deps: FinalizerDeps

  constructor(deps: FinalizerDeps) {
    this.#deps = deps
  }

  /** Null once the pipeline is let go; else what it waits for. `spec`: null where it cannot be read, `faults` says why. */
  async run(
    resource: KubeObject,
    owner: Owner,
    spec: Spec | null,
    faults: string,
    signal: AbortSignal,
  ): Promise<Trouble | null> {
    const { finalizers = [], resourceVersion } = resource.metadata
    if (!finalizers.includes(FINALIZER)) return null
    const waits =
      (await this.#removeWorkloads(owner, signal)) ?? (await this.#removeData(resource, owner, spec, faults, signal))
    if (waits) return waits
    const patch = { metadata: { finalizers: finalizers.filter(name => name !== FINALIZER), resourceVersion } }
    const { client, events } = this.#deps
    await client.mergePatch(SALES_PIPELINE, resource.metadata, patch, signal)
    await events.tell(owner, 'Normal', 'CleanedUp', 'what was made for the pipeline is removed', signal)
    // Only now: a Job that is gone would be made, and all be removed, again. Should this fail, its own time runs out.
    await this.#removeJob(owner, signal)
    return null
  }

  async #removeWorkloads(owner: Owner, signal: AbortSignal): Promise<Trouble | null> {
    const { copies, client } = this.#deps
    const workloads = copies.childrenOf(owner).filter(({ kind }) => kind === 'Deployment')
    for (const { metadata } of workloads)
      if (!metadata.deletionTimestamp) await client.delete(DEPLOYMENT, metadata, signal)
    const pods = copies.podsOf(owner).filter(isWorkload).length
    const isEnded = workloads.length === 0 && pods === 0
    if (isEnded && (this.#job(owner) || (await this.#isNobodyLeft(owner, signal)))) return null
    return { reason: 'Deleting', message: `${pods} pods are ending` }
  }

  /** Copies may be a moment old, and a ReplicaSet that is not collected yet may make another pod. */
  async #isNobodyLeft(owner: Owner, signal: AbortSignal): Promise<boolean> {
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

  async #removeData(
    resource: KubeObject,
    owner: Owner,
    spec: Spec | null,
    faults: string,
    signal: AbortSignal,
  ): Promise<Trouble | null> {
    const document = resource.spec as { deletionPolicy?: string }
    if (document.deletionPolicy !== 'delete') {
      // One that the policy asked for before must not go on.
      await this.#removeJob(owner, signal)
      return null
    }
    if (!spec) return { reason: 'DeletionWaits', message: `${faults}\n${WITHOUT}` }
    return (await this.#removeResults(document, owner, spec, signal)) ?? (await this.#removeTopic(owner, signal))
  }

  async #removeTopic(owner: Owner, signal: AbortSignal): Promise<Trouble | null> {
    const { copies, client } = this.#deps
    const topic = copies.childrenOf(owner).find(({ kind }) => kind === 'KafkaTopic')
    if (!topic) return null
    if (!topic.metadata.deletionTimestamp) await client.delete(KAFKA_TOPIC, topic.metadata, signal)
    return { reason: 'Deleting', message: `KafkaTopic ${keyOf(topic)} is not gone yet. ${WITHOUT}` }
  }

  #job(owner: Owner): KubeObject | undefined {
    const job = this.#deps.copies.child(JOB, `${owner.namespace}/${removalName(owner)}`)
    return job && isOurs(job, owner) ? job : undefined
  }

  async #removeJob(owner: Owner, signal: AbortSignal): Promise<void> {
    const job = this.#job(owner)
    if (job) await this.#deps.client.delete(JOB, job.metadata, signal)
  }

  /** Null once a Job has removed rows and documents. */
  async #removeResults(document: object, owner: Owner, spec: Spec, signal: AbortSignal): Promise<Trouble | null> {
    const { copies, applier, settings } = this.#deps
    const live = this.#job(owner)
    const status = (live?.status ?? {}) as JobStatus
    if (status.succeeded) return null
    if (!live) await applier.apply(removalJob({ owner, document, spec, settings }), live, owner, signal)
    const pods = copies.podsOf(owner, 'removal')
    const trouble = troubleOf(pods) ?? (await this.#saidBy(pods)) ?? failureOf(status)
    if (trouble) return { reason: 'DeletionWaits', message: `${trouble.reason}: ${trouble.message}. ${WITHOUT}` }
    return { reason: 'Deleting', message: 'rows and documents are being removed, as spec.deletionPolicy says' }
  }

  async #saidBy(pods: KubeObject[]): Promise<Trouble | null> {
    for (const address of pods.flatMap(addressOf)) {
      const [told] = Object.entries((await askWorker(address))?.conditions ?? {})
      if (told) return { reason: told[0] as ReportedCode, message: told[1] }
    }
    return null
  }
}

const isWorkload = ({ metadata }: KubeObject) => metadata.labels?.[COMPONENT] !== 'removal'

type JobStatus = { succeeded?: number; conditions?: { type: string; message?: string }[] }

function failureOf({ conditions = [] }: JobStatus): Trouble | null {
  const failed = conditions.find(({ type }) => type === 'Failed')
  return failed
    ? {
        reason: 'RemovalJobFailed',
        message: `${failed.message ?? 'it crashed'}; delete the Job to have it tried again`,
      }
    : null
}
