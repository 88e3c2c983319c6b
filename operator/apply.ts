/** Applies desired objects by server-side apply: only where something differs, and never over objects of others. */

import { hashOf } from './desired/config.ts'
import { APPLIED, isOurs, keyOfOwner } from './desired/names.ts'
import type { Owner } from './desired/observed.ts'
import { describeObject, isKubeError, type KubeClient } from './kube/client.ts'
import { CHILDREN, type KubeObject, keyOf, type Resource, SALES_PIPELINE } from './kube/resources.ts'

export type ApplyOutcome = 'unchanged' | 'created' | 'updated'

/** An object with the desired name exists and belongs to somebody else. */
export class NotOurs extends Error {
  constructor(object: KubeObject, { name }: Owner) {
    const isOfEarlier = object.metadata.ownerReferences?.some(
      owner => owner.kind === SALES_PIPELINE.kind && owner.name === name,
    )
    super(
      isOfEarlier
        ? `${describeObject(object)} belongs to a deleted pipeline of the same name; this pipeline starts once Kubernetes has deleted it`
        : `${describeObject(object)} exists and does not belong to this pipeline; delete it, or create the pipeline with another name`,
    )
    this.name = 'NotOurs'
  }
}

export class Applier {
  readonly #client: KubeClient
  /** Called when another field manager had changed fields of ours. */
  readonly #onConflict: (owner: Owner, message: string) => void
  /** By pipeline, then by kind and key: hash of our fields as the server stored them, with its spelling of quantities and the like. */
  readonly #stored = new Map<string, Map<string, string>>()

  constructor(client: KubeClient, onConflict: (owner: Owner, message: string) => void) {
    this.#client = client
    this.#onConflict = onConflict
  }

  /** `cached`: the object as the caches have it. Throws NotOurs or KubeError. */
  async apply(
    object: KubeObject,
    cached: KubeObject | undefined,
    owner: Owner,
    signal: AbortSignal,
  ): Promise<ApplyOutcome> {
    const resource = resourceOf(object)
    const { namespace, name } = object.metadata
    // The caches select by our labels, so that objects of others are not in them.
    const existing = cached ?? (await this.#client.find(resource, namespace!, name, signal))
    if (existing && !isOurs(existing, owner)) throw new NotOurs(existing, owner)
    const desired = withAppliedHash(object)
    const id = `${object.kind} ${keyOf(object)}`
    const stored = this.#stored.get(keyOfOwner(owner)) ?? new Map<string, string>()
    this.#stored.set(keyOfOwner(owner), stored)
    if (existing && isUpToDate(desired, existing, stored.get(id))) return 'unchanged'
    const applied = await this.#write(desired, resource, owner, signal)
    stored.set(id, hashOf(fieldsOf(desired, applied)))
    if (!existing) return 'created'
    return existing.metadata.resourceVersion === applied.metadata.resourceVersion ? 'unchanged' : 'updated'
  }

  /** Call when the pipeline was deleted. */
  forget(pipeline: string): void {
    this.#stored.delete(pipeline)
  }

  async #write(object: KubeObject, resource: Resource, owner: Owner, signal: AbortSignal): Promise<KubeObject> {
    try {
      return await this.#client.apply(object, resource, { signal })
    } catch (error) {
      if (!isKubeError(error, 409)) throw error
      this.#onConflict(owner, `${describeObject(object)}: ${error.message}`)
      return this.#client.apply(object, resource, { force: true, signal })
    }
  }
}

/** The API server answers 500 to server-side apply of an object with an unknown field, such as one in spec.pods.affinity. */
export function isUnknownField(error: unknown): error is Error {
  return isKubeError(error, 500) && error.message.startsWith('failed to create typed patch object')
}

/** `stored`: hash of our fields as the server stored them after the last write. */
function isUpToDate(desired: KubeObject, existing: KubeObject, stored: string | undefined): boolean {
  // Fields that we no longer want are missing from `desired`: only the hash shows that they must be removed.
  if (existing.metadata.annotations?.[APPLIED] !== desired.metadata.annotations![APPLIED]) return false
  const ours = hashOf(fieldsOf(desired, existing))
  return ours === hashOf(fieldsOf(desired, desired)) || ours === stored
}

const RESOURCES = new Map(CHILDREN.map(resource => [`${resource.apiVersion} ${resource.kind}`, resource]))

export function resourceOf({ apiVersion, kind }: KubeObject): Resource {
  return RESOURCES.get(`${apiVersion} ${kind}`)!
}

function withAppliedHash(object: KubeObject): KubeObject {
  const { metadata } = object
  return { ...object, metadata: { ...metadata, annotations: { ...metadata.annotations, [APPLIED]: hashOf(object) } } }
}

/** The part of `existing` that `desired` names. Lists are compared by position, because we own ours entirely. */
function fieldsOf(desired: unknown, existing: unknown): unknown {
  if (Array.isArray(desired))
    return desired.map((item, i) => fieldsOf(item, Array.isArray(existing) ? existing[i] : undefined))
  if (typeof desired !== 'object' || desired === null) return existing
  const from = (existing ?? {}) as Record<string, unknown>
  return Object.fromEntries(Object.entries(desired).map(([name, value]) => [name, fieldsOf(value, from[name])]))
}
