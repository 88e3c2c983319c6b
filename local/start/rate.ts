/** Long enough for a steady figure, short enough to show a change. */
const SPAN_MS = 5000

/** Computes events per second from a total that is sampled at irregular times. Pure. */
export class RateMeter {
  #samples: { at: number; total: number }[] = []

  /** Returns the rate over the last 5 s. Starts over when the total falls, because a process was restarted. */
  at(now: number, total: number): number {
    if (total < (this.#samples.at(-1)?.total ?? 0)) this.#samples = []
    this.#samples.push({ at: now, total })
    while (this.#samples.length > 2 && this.#samples[1]!.at <= now - SPAN_MS) this.#samples.shift()
    const first = this.#samples[0]!
    return now > first.at ? ((total - first.total) * 1000) / (now - first.at) : 0
  }
}
