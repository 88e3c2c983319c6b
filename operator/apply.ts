/** Makes the desired objects so: server-side apply, only where something differs, and never over what others made. */
import { hashOf } from './desired/config.ts'
import { APPLIED, isOurs, keyOfOwner } from './desired/names.ts'
import type { Owner } from './desired/observed.ts'
import { describeObject, isKubeError, type KubeClient } from './kube/client.ts'
import { CHILDREN, type KubeObject, keyOf, type Resource } from './kube/resources.ts'

export type ApplyOutcome = 'unchanged' | 'created' | 'changed'

/** An object of that name is there, and somebody else made it. */
export class NotOurs extends Error {
  constructor(object: KubeObject) {
    super(
      `${describeObject(object)} exists and was not made for this pipeline. Delete or rename it, or give the pipeline another name`,
    )
    this.name = 'NotOurs'
  }
}

export class Applier {
  readonly #client: KubeClient
  /** Told when fields that are ours had been taken by another manager. */
  readonly #takenBack: (owner: Owner, message: string) => void
  /** By pipeline, then by kind and key: our fields as the server wrote them, with its spelling of quantities and the like. */
  readonly #written = new Map<string, Map<string, unknown>>()

  constructor(client: KubeClient, takenBack: (owner: Owner, message: string) => void) {
    this.#client = client
    this.#takenBack = takenBack
  }

  /** `live`: the newest that is known. Throws NotOurs or KubeError. */
  async apply(
    object: KubeObject,
    live: KubeObject | undefined,
    owner: Owner,
    signal: AbortSignal,
  ): Promise<ApplyOutcome> {
    const resource = resourceOf(object)
    // What others made has not our labels, and so is not in our copy.
    const there = live ?? (await this.#client.find(resource, object.metadata.namespace!, object.metadata.name, signal))
    if (there && !isOurs(there, owner)) throw new NotOurs(there)
    const marked = withMark(object)
    const id = `${object.kind} ${keyOf(object)}`
    const known = this.#written.get(keyOfOwner(owner)) ?? new Map<string, unknown>()
    this.#written.set(keyOfOwner(owner), known)
    if (there && isSo(marked, there, known.get(id))) return 'unchanged'
    const written = await this.#write(marked, resource, owner, signal)
    known.set(id, projected(marked, written))
    if (!there) return 'created'
    return there.metadata.resourceVersion === written.metadata.resourceVersion ? 'unchanged' : 'changed'
  }

  /** Forgets what was written for a pipeline that is gone. */
  forget(pipeline: string): void {
    this.#written.delete(pipeline)
  }

  async #write(object: KubeObject, resource: Resource, owner: Owner, signal: AbortSignal): Promise<KubeObject> {
    try {
      return await this.#client.apply(object, resource, { signal })
    } catch (error) {
      if (!isKubeError(error, 409)) throw error
      this.#takenBack(owner, `${describeObject(object)}: ${error.message}`)
      return this.#client.apply(object, resource, { force: true, signal })
    }
  }
}

/** `written`: what the server made of it. */
function isSo(marked: KubeObject, there: KubeObject, written: unknown): boolean {
  // A field that we no longer want is still there, but the mark is another.
  if (there.metadata.annotations?.[APPLIED] !== marked.metadata.annotations![APPLIED]) return false
  const ours = JSON.stringify(projected(marked, there))
  return ours === JSON.stringify(projected(marked, marked)) || ours === JSON.stringify(written)
}

const RESOURCES = new Map(CHILDREN.map(resource => [`${resource.apiVersion} ${resource.kind}`, resource]))

export function resourceOf({ apiVersion, kind }: KubeObject): Resource {
  return RESOURCES.get(`${apiVersion} ${kind}`)!
}

function withMark(object: KubeObject): KubeObject {
  const { metadata } = object
  return { ...object, metadata: { ...metadata, annotations: { ...metadata.annotations, [APPLIED]: hashOf(object) } } }
}

/** Of `there` only what `wanted` names: lists by position, since we own ours whole. */
function projected(wanted: unknown, there: unknown): unknown {
  if (Array.isArray(wanted))
    return wanted.map((item, i) => projected(item, Array.isArray(there) ? there[i] : undefined))
  if (typeof wanted !== 'object' || wanted === null) return there
  const from = (there ?? {}) as Record<string, unknown>
  return Object.fromEntries(Object.entries(wanted).map(([name, value]) => [name, projected(value, from[name])]))
}
