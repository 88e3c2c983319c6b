/** The objects of a pipeline: makes what shall exist, and takes away what the spec asked for once and no longer does. */
import { type Applier, resourceOf } from './apply.ts'
import type { Copies } from './copies.ts'
import type { Owner } from './desired/observed.ts'
import type { Events } from './events.ts'
import type { KubeClient } from './kube/client.ts'
import { type KubeObject, keyOf } from './kube/resources.ts'

export type ChildrenDeps = { client: KubeClient; copies: Copies; applier: Applier; events: Events }

export class Children {
  readonly #deps: ChildrenDeps

  constructor(deps: ChildrenDeps) {
    this.#deps = deps
  }

  /** Throws NotOurs or KubeError at the first that cannot be made: those after it may need it. */
  async make(owner: Owner, wanted: KubeObject[], signal: AbortSignal): Promise<void> {
    const { copies, applier, events } = this.#deps
    for (const object of wanted) {
      const live = copies.child(resourceOf(object), keyOf(object))
      const outcome = await applier.apply(object, live, owner, signal)
      if (outcome === 'created')
        await events.tell(owner, 'Normal', 'Created', `${object.kind} ${object.metadata.name}`, signal)
    }
    await this.#prune(owner, wanted, signal)
  }

  /** A topic holds data: it stays until somebody deletes it. */
  async #prune(owner: Owner, wanted: KubeObject[], signal: AbortSignal): Promise<void> {
    const { copies, client, events } = this.#deps
    const names = new Set(wanted.map(object => `${object.kind} ${keyOf(object)}`))
    for (const object of copies.childrenOf(owner)) {
      if (object.kind === 'KafkaTopic' || object.metadata.deletionTimestamp) continue
      if (names.has(`${object.kind} ${keyOf(object)}`)) continue
      await client.delete(resourceOf(object), object.metadata, signal)
      await events.tell(owner, 'Normal', 'Deleted', `${object.kind} ${object.metadata.name}`, signal)
    }
  }
}
