/** The objects of a pipeline: applies the desired ones, and deletes those that the spec no longer asks for. */
import { type Applier, resourceOf } from './apply.ts'
import type { Caches } from './caches.ts'
import type { Owner } from './desired/observed.ts'
import type { Events } from './events.ts'
import type { KubeClient } from './kube/client.ts'
import { type KubeObject, keyOf } from './kube/resources.ts'

export type ChildObjectsDeps = { client: KubeClient; caches: Caches; applier: Applier; events: Events }

export class ChildObjects {
  readonly #deps: ChildObjectsDeps

  constructor(deps: ChildObjectsDeps) {
    this.#deps = deps
  }

  /** Throws NotOurs or KubeError at the first object that cannot be applied: later ones may need it. */
  async apply(owner: Owner, objects: KubeObject[], signal: AbortSignal): Promise<void> {
    const { caches, applier, events } = this.#deps
    for (const object of objects) {
      const cached = caches.child(resourceOf(object), keyOf(object))
      const outcome = await applier.apply(object, cached, owner, signal)
      if (outcome === 'created')
        await events.recordOnce(owner, 'Normal', 'Created', `${object.kind} ${object.metadata.name}`, signal)
    }
    await this.#prune(owner, objects, signal)
  }

  /** A topic holds data: it stays until somebody deletes it. */
  async #prune(owner: Owner, objects: KubeObject[], signal: AbortSignal): Promise<void> {
    const { caches, client, events } = this.#deps
    const names = new Set(objects.map(object => `${object.kind} ${keyOf(object)}`))
    for (const object of caches.childrenOf(owner)) {
      if (object.kind === 'KafkaTopic' || object.metadata.deletionTimestamp) continue
      if (names.has(`${object.kind} ${keyOf(object)}`)) continue
      await client.delete(resourceOf(object), object.metadata, signal)
      await events.recordOnce(owner, 'Normal', 'Deleted', `${object.kind} ${object.metadata.name}`, signal)
    }
  }
}
