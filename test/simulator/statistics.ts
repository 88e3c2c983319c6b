/** Counts what happened during a simulation: a simulation without faults proves nothing. */
import type { Telemetry } from '#processor/ports.ts'

export type Statistics = {
  commits: number
  fenced: number
  lostResponses: number
  rebalances: number
  /** Workers killed with uncommitted records. */
  killedUncommitted: number
  zombies: number
  restored: number
  rejected: number
  /** Writes that the sink failed. */
  sinkFailures: number
  /** Workers that were refused because their version of the spec is outdated. */
  outdated: number
  /** Partitions added to the topic during the simulation. */
  addedPartitions: number
  /** Failovers that rolled back acknowledged commits. */
  rolledBack: number
  /** Commits inside a record, claims that finished a record under an older spec, and lines counted before a rejection. */
  inside: number
  finished: number
  keptLines: number
  /** Times that the sink lost its documents. */
  losses: number
  /** Rows that are marked because the aggregation was not in the spec all the time. */
  partialRows: number
  failures: string[]
}

export function emptyStatistics(): Statistics {
  return {
    commits: 0,
    fenced: 0,
    lostResponses: 0,
    rebalances: 0,
    killedUncommitted: 0,
    zombies: 0,
    restored: 0,
    rejected: 0,
    sinkFailures: 0,
    outdated: 0,
    addedPartitions: 0,
    rolledBack: 0,
    inside: 0,
    finished: 0,
    keptLines: 0,
    losses: 0,
    partialRows: 0,
    failures: [],
  }
}

/** Returns telemetry that counts into `statistics`. `gauge.gathered`: what this worker has read and not committed. */
export function countingTelemetry(statistics: Statistics, gauge: { gathered: number }): Telemetry {
  return {
    fetched: () => {
      gauge.gathered++
    },
    committed: () => {
      gauge.gathered = 0
    },
    commitFailed(kind) {
      if (kind === 'fenced') statistics.fenced++
      if (kind === 'retryable') statistics.lostResponses++
      if (kind === 'rejected') statistics.rejected++
    },
    condition(code, message) {
      if (message !== null && ['CorruptBatch', 'LogTruncated', 'OffsetOutOfRange'].includes(code))
        statistics.failures.push(`${code}: ${message}`)
    },
    rebalanced: () => {},
    position: () => {},
    released: () => {},
    projected: () => {},
    projectionPending: () => {},
    committable: () => {},
    sinkAccepted: () => {},
    pipelineClock: () => {},
    busy: () => {},
    log: () => {},
  }
}
