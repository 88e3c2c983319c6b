/** Long enough to be calm, short enough to show a change. */
const SPAN_MS = 5000

/** Events per second out of a total that is looked at now and then. Pure. */
export class RateMeter {
  #samples: { at: number; total: number }[] = []

  /** The rate over the last 5 s. A total that fell (a process started again) begins anew. */
  at(now: number, total: number): number {
    if (total < (this.#samples.at(-1)?.total ?? 0)) this.#samples = []
    this.#samples.push({ at: now, total })
    while (this.#samples.length > 2 && this.#samples[1]!.at <= now - SPAN_MS) this.#samples.shift()
    const first = this.#samples[0]!
    return now > first.at ? ((total - first.total) * 1000) / (now - first.at) : 0
  }
}
