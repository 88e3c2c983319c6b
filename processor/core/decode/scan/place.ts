/** The paths that a spec reads, as a tree of keys. */
import type { FieldReader } from './field-reader.ts'

/** A key on some path, inside its parent's object; the root is the event. */
export class Place {
  readonly key: Buffer
  readonly children: Place[] = []
  // Readers of the value at this place:
  isId = false
  isTime = false
  readonly fields: FieldReader[] = []
  /** Number of the record that had this key last. */
  metIn = 0

  constructor(key = '') {
    this.key = Buffer.from(key)
  }

  /** Returns the place at the end of a path from here; creates it if it is new. */
  at(path: string[]): Place {
    const [key, ...rest] = path
    if (key === undefined) return this
    const bytes = Buffer.from(key)
    const known = this.child(bytes, 0, bytes.length)
    if (known !== null) return known.at(rest)
    const child = new Place(key)
    this.children.push(child)
    return child.at(rest)
  }

  /** Returns the child whose key is bytes[start, end), or null when no path includes it. */
  child(bytes: Buffer, start: number, end: number): Place | null {
    for (const child of this.children)
      if (child.key.length === end - start && bytes.compare(child.key, 0, child.key.length, start, end) === 0)
        return child
    return null
  }
}
