/** Section 5 of the contract, "Partial windows": which windows may lack records, from the log and the spec history alone. */
import type { Aggregation, Generation } from './spec.ts'
import { windowEnd } from './windows.ts'

/** An entry of the spec history of one partition. */
export interface Stretch {
  from: number
  generation: Generation
  /** A release that marks partial windows wrote the entry. */
  recorded: boolean
}

interface Clock {
  /** Entry's offset → greatest event time before it, for the entries that the log has reached. */
  at: Map<number, number>
  /** Event time of the first non-dead record. */
  first: number | null
  latest: number
}

/** Follows the event times of each partition while the log is read. */
export class EventClocks {
  private readonly clocks = new Map<number, Clock>()
  private readonly stretches: Map<number, Stretch[]>

  constructor(stretches: Map<number, Stretch[]>) {
    this.stretches = stretches
  }

  /** Call it before the record at `offset` is processed. */
  reach(partition: number, offset: number): void {
    const clock = this.clock(partition)
    for (const { from } of this.stretches.get(partition) ?? [])
      if (from <= offset && !clock.at.has(from)) clock.at.set(from, clock.latest)
  }

  /** Notes the event time of a non-dead record. */
  see(partition: number, time: number): void {
    const clock = this.clock(partition)
    clock.first ??= time
    clock.latest = Math.max(clock.latest, time)
  }

  private clock(partition: number): Clock {
    let clock = this.clocks.get(partition)
    if (!clock) this.clocks.set(partition, (clock = { at: new Map(), first: null, latest: Number.NEGATIVE_INFINITY }))
    return clock
  }

  /** Returns whether a window of the aggregation may lack records. `has`: the aggregation is in that generation. */
  partialWindows(aggregation: Aggregation, has: (generation: Generation) => boolean): (start: number) => boolean {
    const gaps = [...this.stretches].flatMap(([partition, stretches]) =>
      this.gapsOf(stretches, this.clock(partition), aggregation.name, has),
    )
    return start => gaps.some(([low, high]) => start <= high && windowEnd(aggregation.window, start) > low)
  }

  /** Returns the missing event times of each gap: later than the first number, at most the second. */
  private gapsOf(
    stretches: Stretch[],
    clock: Clock,
    name: string,
    has: (generation: Generation) => boolean,
  ): [low: number, high: number][] {
    const before = (from: number) => clock.at.get(from) ?? clock.latest
    const gaps: [number, number][] = []
    let gapFrom: Stretch | 'start' | null = 'start'
    for (const stretch of stretches) {
      const { from, generation, recorded } = stretch
      if (!has(generation)) {
        gapFrom ??= stretch
        continue
      }
      const end = before(from)
      const { outOfOrderness } = generation.rules
      const unread = stretches[0]!.from > 0
      const high = unread ? (end === Number.NEGATIVE_INFINITY ? (clock.first ?? end) : end) + outOfOrderness : end
      const { allowedLateness } = generation.rules.aggregations.find(aggregation => aggregation.name === name)!
      if (gapFrom !== null && recorded && from > 0 && high > Number.NEGATIVE_INFINITY) {
        const low =
          gapFrom === 'start' || !gapFrom.recorded || generation.rules.sources
            ? Number.NEGATIVE_INFINITY
            : before(gapFrom.from) - outOfOrderness - allowedLateness
        gaps.push([low, high])
      }
      gapFrom = null
    }
    return gaps
  }
}
