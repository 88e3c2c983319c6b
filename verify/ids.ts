/** The ids that a partition remembers, ordered by last sighting. */
import type { Rules } from './spec.ts'

export class Ids {
  /** Sightings in order; those before `head` are forgotten. */
  private sightings: { id: string; maxEventTime: number }[] = []
  private head = 0
  /** Id → its last sighting; older sightings of the id in the queue no longer count. */
  private readonly last = new Map<string, object>()

  /** Records a sighting at the partition's greatest event time. Returns true when the id was still remembered. */
  see(id: string, maxEventTime: number, { horizon, maxIds }: NonNullable<Rules['deduplication']>): boolean {
    while (this.head < this.sightings.length && maxEventTime - this.sightings[this.head]!.maxEventTime > horizon) {
      this.forgetOldest()
    }
    while (this.last.size > maxIds) this.forgetOldest() // the limit may be lower than for the record before
    const known = this.last.has(id)
    // Copy the id: a slice would keep the text of the whole record in memory.
    const sighting = { id: Buffer.from(id).toString(), maxEventTime }
    this.last.delete(id)
    this.last.set(sighting.id, sighting)
    this.sightings.push(sighting)
    while (this.last.size > maxIds) this.forgetOldest()
    return known
  }

  private forgetOldest(): void {
    const sighting = this.sightings[this.head++]!
    if (this.last.get(sighting.id) === sighting) this.last.delete(sighting.id)
    if (this.head > 10_000 && this.head > this.sightings.length / 2) {
      this.sightings = this.sightings.slice(this.head)
      this.head = 0
    }
  }
}
