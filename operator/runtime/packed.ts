/** Objects of the API as JSON text, which takes a quarter of the memory of the parsed objects. */
import type { KubeObject } from '../kube/resources.ts'

type Packed = { version: string | undefined; text: string; groups: string[] }

export class PackedObjects {
  readonly #packed = new Map<string, Packed>()
  readonly #groups = new Map<string, Set<string>>()
  readonly #groupsOf: (object: KubeObject) => string[]

  /** `groupsOf`: the groups by which an object can be found. */
  constructor(groupsOf: (object: KubeObject) => string[] = () => []) {
    this.#groupsOf = groupsOf
  }

  get size(): number {
    return this.#packed.size
  }

  keys(): IterableIterator<string> {
    return this.#packed.keys()
  }

  /** Each call returns a new object. */
  get(key: string): KubeObject | undefined {
    const packed = this.#packed.get(key)
    return packed && (JSON.parse(packed.text) as KubeObject)
  }

  /** The resource version; undefined if there is no object. */
  version(key: string): string | undefined {
    return this.#packed.get(key)?.version
  }

  /** Keys of the objects of a group. */
  keysOf(group: string): Iterable<string> {
    return this.#groups.get(group) ?? []
  }

  *of(group: string): Generator<KubeObject> {
    for (const key of this.keysOf(group)) yield this.get(key)!
  }

  set(key: string, object: KubeObject): void {
    this.delete(key)
    const groups = this.#groupsOf(object)
    this.#packed.set(key, { version: object.metadata.resourceVersion, text: JSON.stringify(object), groups })
    for (const group of groups) this.#members(group).add(key)
  }

  delete(key: string): void {
    for (const group of this.#packed.get(key)?.groups ?? []) {
      const members = this.#members(group)
      members.delete(key)
      if (members.size === 0) this.#groups.delete(group)
    }
    this.#packed.delete(key)
  }

  #members(group: string): Set<string> {
    const members = this.#groups.get(group) ?? new Set()
    this.#groups.set(group, members)
    return members
  }
}
