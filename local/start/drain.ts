/** Waits until every record of the log is committed and every committed row is projected. */
import type { PipelineProgress } from './results.ts'

export type Remaining = { records: number; toProject: number }

/** Returns how many records of the log are not committed and how many rows wait to be projected. */
export function remaining(
  ends: Map<number, number>,
  progress: Pick<PipelineProgress, 'next' | 'toProject'>,
): Remaining {
  const { next, toProject } = progress
  const records = [...ends].reduce((sum, [partition, end]) => sum + Math.max(0, end - (next.get(partition) ?? 0)), 0)
  return { records, toProject }
}

export type Draining = {
  /** Resolves with null while Kafka or PostgreSQL does not respond. */
  poll: () => Promise<Remaining | null>
  sleep: (ms: number) => Promise<void>
  now: () => number
  log: (line: string) => void
  /** The data folder, for messages. */
  folder: string
}

const POLL_MS = 200
/** Without progress for this long, draining is given up. */
const STALLED_AFTER_MS = 60_000

/** Resolves with true once nothing is left, or with false after a minute without progress. */
export async function drain({ poll, sleep, now, log, folder }: Draining): Promise<boolean> {
  let least = Number.POSITIVE_INFINITY
  for (let progressAt = now(); ; await sleep(POLL_MS)) {
    const left = await poll()
    if (left && left.records + left.toProject === 0) return true
    if (left && left.records + left.toProject < least) {
      least = left.records + left.toProject
      progressAt = now()
    }
    if (now() - progressAt > STALLED_AFTER_MS) {
      log(
        left
          ? `the pipeline did not finish: no progress for 60 s, ${left.records} records not committed, ${left.toProject} rows not written to Elasticsearch. See the logs of the workers in ${folder}/logs`
          : `the pipeline did not finish: Kafka or PostgreSQL does not respond. See their logs; those of local servers are below ${folder}`,
      )
      return false
    }
  }
}
