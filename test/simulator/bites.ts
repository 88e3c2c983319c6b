/** What really happened during a simulation, counted: one in which nothing goes wrong proves nothing. */
import type { Telemetry } from '#processor/ports.ts'

export type Bites = {
  commits: number
  fenced: number
  lostAnswers: number
  rebalances: number
  /** Killed while increments were not committed. */
  killedDirty: number
  zombies: number
  restored: number
  refused: number
  /** Rounds in which the sink answered nothing, though it may have taken the rows. */
  sinkFailures: number
  /** Workers of an older version of the spec that were refused. */
  outdated: number
  /** Partitions that the topic got meanwhile. */
  added: number
  /** Failovers that took back what was acknowledged. */
  takenBack: number
  failures: string[]
}

export function noBites(): Bites {
  return {
    commits: 0,
    fenced: 0,
    lostAnswers: 0,
    rebalances: 0,
    killedDirty: 0,
    zombies: 0,
    restored: 0,
    refused: 0,
    sinkFailures: 0,
    outdated: 0,
    added: 0,
    takenBack: 0,
    failures: [],
  }
}

/** `gauge`: what this worker has read and not committed. */
export function countBites(bites: Bites, gauge: { gathered: number }): Telemetry {
  return {
    fetched: () => {
      gauge.gathered++
    },
    committed: () => {
      gauge.gathered = 0
    },
    commitFailed(kind) {
      if (kind === 'fenced') bites.fenced++
      if (kind === 'retryable') bites.lostAnswers++
      if (kind === 'rejected') bites.refused++
    },
    condition(code, message) {
      if (message !== null && ['CorruptBatch', 'LogTruncated', 'OffsetOutOfRange'].includes(code))
        bites.failures.push(`${code}: ${message}`)
    },
    rebalanced: () => {},
    position: () => {},
    released: () => {},
    projected: () => {},
    projectionPending: () => {},
    pipelineClock: () => {},
    busy: () => {},
    log: () => {},
  }
}
