/** The paths that a spec reads, as a tree of keys. */
import type { FieldReader } from './field-reader.ts'

/** A key on some path, inside its parent's object; the root stands for the event itself. */
export class Place {
  readonly key: Buffer
  readonly children: Place[] = []
  // Who reads the value that stands here:
  isId = false
  isTime = false
  readonly fields: FieldReader[] = []
  /** Number of the record that had this key last. */
  metIn = 0

  constructor(key = '') {
    this.key = Buffer.from(key)
  }

  /** The place at the end of a path from here, made where it is new. */
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

  /** The child whose key is bytes[start, end); null: no path goes there. */
  child(bytes: Buffer, start: number, end: number): Place | null {
    for (const child of this.children)
      if (child.key.length === end - start && bytes.compare(child.key, 0, child.key.length, start, end) === 0)
        return child
    return null
  }
}
