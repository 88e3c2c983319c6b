/** Waits until everything that is in the log is committed, and everything committed is projected. */
import type { Standing } from './results.ts'

export type Remaining = { records: number; toProject: number }

/** Records of the log that are not committed, and rows that wait to be projected. */
export function remaining(ends: Map<number, number>, standing: Pick<Standing, 'next' | 'toProject'>): Remaining {
  const { next, toProject } = standing
  const records = [...ends].reduce((sum, [partition, end]) => sum + Math.max(0, end - (next.get(partition) ?? 0)), 0)
  return { records, toProject }
}

export type Draining = {
  /** Null: it cannot be told now. */
  look: () => Promise<Remaining | null>
  sleep: (ms: number) => Promise<void>
  now: () => number
  tell: (line: string) => void
}

const EVERY_MS = 200
/** Nothing moved for so long: it will not. */
const PATIENCE_MS = 60_000

/** Answers false when nothing moved for a minute. */
export async function drain({ look, sleep, now, tell }: Draining): Promise<boolean> {
  let best = Number.POSITIVE_INFINITY
  for (let movedAt = now(); ; await sleep(EVERY_MS)) {
    const left = await look()
    if (left && left.records + left.toProject === 0) return true
    if (left && left.records + left.toProject < best) {
      best = left.records + left.toProject
      movedAt = now()
    }
    if (now() - movedAt > PATIENCE_MS) {
      tell(
        left
          ? `not drained: ${left.records} records and ${left.toProject} rows to project do not move`
          : 'not drained: Kafka or PostgreSQL does not answer',
      )
      return false
    }
  }
}
