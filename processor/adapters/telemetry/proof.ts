/** What this worker has proven about its generation of the spec, although no sale may have arrived (contract, section 12). */

export type ProofReport = {
  /** Its partitions for which PostgreSQL has accepted an empty commit. */
  partitions: number[]
  /** Sinks that accept its writes. */
  sinks: string[]
}

export class Proof {
  readonly #sinks = new Set<string>()
  #partitions: number[] = []

  committable(partitions: number[]): void {
    this.#partitions = partitions.toSorted((a, b) => a - b)
    if (partitions.length > 0) this.#sinks.add('postgres')
  }

  sinkAccepted(sink: string): void {
    this.#sinks.add(sink)
  }

  report(): ProofReport {
    return { partitions: this.#partitions, sinks: [...this.#sinks].sort() }
  }
}
