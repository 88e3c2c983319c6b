/** The operator's copies of what the cluster holds, and which pipeline each change concerns. */
import { CHILD_SELECTOR, COMPONENT, type Component, isOurs, PIPELINE } from './desired/names.ts'
import type { Owner } from './desired/observed.ts'
import type { KubeClient } from './kube/client.ts'
import { CHILDREN, type KubeObject, OPTIONAL, POD, type Resource, SALES_PIPELINE, SECRET } from './kube/resources.ts'
import type { Chance, Clock, Log } from './ports.ts'
import { Reflector } from './runtime/reflector.ts'

export type CopiesOptions = {
  client: KubeClient
  clock: Clock
  chance: Chance
  log: Log
  /** Called with the key of a pipeline that something happened to. */
  enqueue: (key: string) => void
  onRestart?: (resource: Resource, why: string) => void
  staleAfterMs?: number
}

export class Copies {
  readonly #options: CopiesOptions
  readonly #reflectors = new Map<Resource, Reflector>()

  constructor(options: CopiesOptions) {
    this.#options = options
  }

  /** Runs until the signal aborts; `ready` is called when all first lists are here. */
  async run(signal: AbortSignal, ready: () => void): Promise<void> {
    const { client } = this.#options
    const served = await Promise.all(
      CHILDREN.map(async resource =>
        !OPTIONAL.has(resource) || (await client.serves(resource, signal)) ? [resource] : [],
      ),
    )
    this.#reflect(SALES_PIPELINE, key => this.#options.enqueue(key))
    this.#reflect(SECRET, key => this.#ofSecret(key), { metadataOnly: true })
    this.#reflect(POD, (_key, object) => this.#ofChild(object), { labelSelector: CHILD_SELECTOR })
    for (const resource of served.flat())
      this.#reflect(resource, (_key, object) => this.#ofChild(object), { labelSelector: CHILD_SELECTOR })
    const all = [...this.#reflectors.values()]
    const running = all.map(reflector => reflector.run(signal))
    void Promise.all(all.map(({ synced }) => synced)).then(ready)
    await Promise.all(running)
  }

  get pipelines(): ReadonlyMap<string, KubeObject> {
    return this.#reflectors.get(SALES_PIPELINE)!.objects
  }

  /** ms since the epoch; the reflector that heard least lately. */
  get heardAt(): number {
    return Math.min(...[...this.#reflectors.values()].map(({ heardAt }) => heardAt))
  }

  serves(resource: Resource): boolean {
    return this.#reflectors.has(resource)
  }

  child(resource: Resource, key: string): KubeObject | undefined {
    return this.#reflectors.get(resource)?.objects.get(key)
  }

  childrenOf(owner: Owner): KubeObject[] {
    return CHILDREN.flatMap(resource => [...(this.#reflectors.get(resource)?.objects.values() ?? [])]).filter(object =>
      isOurs(object, owner),
    )
  }

  podsOf({ namespace, name }: Owner, component?: Component): KubeObject[] {
    const pods = [...this.#reflectors.get(POD)!.objects.values()]
    return pods.filter(({ metadata: { labels = {}, ...metadata } }) => {
      const isIts = metadata.namespace === namespace && labels['app.kubernetes.io/instance'] === name
      return isIts && (component === undefined || labels[COMPONENT] === component)
    })
  }

  /** Changes whenever the Secret does; null: there is none. Its content is never asked for. */
  secretMark(key: string): string | null {
    const metadata = this.#reflectors.get(SECRET)!.objects.get(key)?.metadata
    return metadata ? `${metadata.uid}/${metadata.resourceVersion}` : null
  }

  #reflect(
    resource: Resource,
    onChange: (key: string, object: KubeObject) => void,
    more: { labelSelector?: string; metadataOnly?: boolean } = {},
  ): void {
    const { enqueue: _enqueue, onRestart, ...shared } = this.#options
    const reflector = new Reflector({
      ...{ ...shared, resource, ...more },
      onChange: (key, before, after) => onChange(key, (after ?? before)!),
      onRestart: why => onRestart?.(resource, why),
    })
    this.#reflectors.set(resource, reflector)
  }

  /** Its pipeline by owner, by annotation, or by the labels of a pod. */
  #ofChild({ metadata }: KubeObject): void {
    const { namespace, ownerReferences = [], annotations = {}, labels = {} } = metadata
    const owner = ownerReferences.find(({ kind }) => kind === SALES_PIPELINE.kind)
    const name = owner?.name ?? labels['app.kubernetes.io/instance']
    const key = annotations[PIPELINE] ?? (name === undefined ? undefined : `${namespace}/${name}`)
    if (key !== undefined) this.#options.enqueue(key)
  }

  /** Whoever names it. */
  #ofSecret(key: string): void {
    const [namespace, name] = key.split('/')
    for (const [pipeline, { metadata, spec }] of this.pipelines)
      if (metadata.namespace === namespace && JSON.stringify(spec).includes(`"name":"${name}"`))
        this.#options.enqueue(pipeline)
  }
}
