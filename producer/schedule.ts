/**
 * The absolute schedule of an open-loop generator: the time of event i does not depend on when earlier events were sent.
 * A stall therefore shows as delay and not as a lower rate.
 */

/** Milliseconds. Each period ends with a burst at `factor` times the rate. */
export type Bursts = { every: number; lasting: number; factor: number }

/** Event `index` is due at `time`; later events follow at `rate` events per second. */
type Segment = { index: number; time: number; rate: number }

/** All times are milliseconds after the start. */
export class Schedule {
  readonly #warp: Warp
  readonly #segments: Segment[]

  constructor(rate: number, bursts?: Bursts) {
    this.#warp = new Warp(bursts)
    this.#segments = [{ index: 0, time: 0, rate }]
  }

  /** Returns the due time of event `index`, never earlier than the one before it; Infinity if the rate is 0. */
  timeOf(index: number): number {
    const { index: first, time, rate } = this.#segments.findLast(segment => segment.index <= index)!
    if (rate === 0) return Number.POSITIVE_INFINITY
    if (index === first) return time
    return this.#warp.toTime(this.#warp.fromTime(time) + ((index - first) * 1000) / rate)
  }

  /** Returns the number of events due before `time`, which must not be before the last change of the rate. */
  countBefore(time: number): number {
    const { index, time: from, rate } = this.#segments.at(-1)!
    return index + Math.ceil(((this.#warp.fromTime(time) - this.#warp.fromTime(from)) * rate) / 1000)
  }

  /** Changes the rate from `time` on, which must not be before an earlier change. */
  setRate(rate: number, time: number): void {
    this.#segments.push({ index: this.countBefore(time), time, rate })
  }
}

/** Converts to a time scale on which bursts last `factor` times as long, so that events are spaced evenly. */
class Warp {
  readonly #every: number
  readonly #calm: number
  readonly #factor: number
  readonly #warpedEvery: number

  constructor(bursts: Bursts = { every: 1000, lasting: 0, factor: 1 }) {
    this.#every = bursts.every
    this.#calm = Math.max(0, bursts.every - bursts.lasting)
    this.#factor = bursts.factor
    this.#warpedEvery = this.#calm + (this.#every - this.#calm) * this.#factor
  }

  fromTime(time: number): number {
    const period = Math.floor(time / this.#every)
    const phase = time - period * this.#every
    return period * this.#warpedEvery + phase + Math.max(0, phase - this.#calm) * (this.#factor - 1)
  }

  toTime(warped: number): number {
    const period = Math.floor(warped / this.#warpedEvery)
    const phase = warped - period * this.#warpedEvery
    return period * this.#every + Math.min(phase, this.#calm) + Math.max(0, phase - this.#calm) / this.#factor
  }
}
