/** End-to-end delay (section 9): joins commit logs with the times at which records were made. */
import { readJsonLines } from './journal.ts'

interface CommitLine {
  at: number
  partitions: [partition: number, from: number, next: number][]
}

/** Offsets from `from` up to, not including, `next` were committed at `at` (milliseconds since the epoch). */
interface Commit {
  from: number
  next: number
  at: number
}

/** Delays in milliseconds; null means infinite. */
export interface DelayReport {
  p50: number | null
  p90: number | null
  p99: number | null
  max: number | null
  samples: number
  neverCommitted: number
}

export interface DelayFilter {
  /** Only records made in `[from, to)`, in milliseconds since the epoch. */
  from?: number
  to?: number
  /** Time used for commits that are in no commit log, in milliseconds since the epoch; default: the current time. */
  now?: number
}

export class Delays {
  private readonly samples: number[] = []
  private readonly commits: Map<number, Commit[]>
  private readonly nextOffsets: Map<number, number>
  private readonly filter: DelayFilter

  /** `nextOffsets`: the `next_offset` of each partition in table `progress`. */
  constructor(commits: Map<number, Commit[]>, nextOffsets: Map<number, number>, filter: DelayFilter) {
    this.commits = commits
    this.nextOffsets = nextOffsets
    this.filter = filter
  }

  add(partition: number, offset: number, madeAt: number): void {
    const { from = Number.NEGATIVE_INFINITY, to = Number.POSITIVE_INFINITY } = this.filter
    if (madeAt >= from && madeAt < to) this.samples.push(this.committedAt(partition, offset) - madeAt)
  }

  /** A worker may be killed after a commit but before it logs it; then the partition's next logged commit counts. */
  private committedAt(partition: number, offset: number): number {
    const commit = firstEndingAfter(this.commits.get(partition) ?? [], offset)
    if (commit) return commit.at
    const committed = offset < (this.nextOffsets.get(partition) ?? 0)
    return committed ? (this.filter.now ?? Date.now()) : Number.POSITIVE_INFINITY
  }

  report(): DelayReport {
    const sorted = Float64Array.from(this.samples).sort()
    const neverCommitted = sorted.length - sorted.findLastIndex(Number.isFinite) - 1
    return {
      p50: percentile(sorted, 0.5),
      p90: percentile(sorted, 0.9),
      p99: percentile(sorted, 0.99),
      max: percentile(sorted, 1),
      samples: sorted.length,
      neverCommitted,
    }
  }
}

function firstEndingAfter(commits: Commit[], offset: number): Commit | undefined {
  let low = 0
  let high = commits.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (commits[middle]!.next > offset) high = middle
    else low = middle + 1
  }
  return commits[low]
}

/** Returns the nearest-rank percentile; null when there are no samples or the value is infinite. */
export function percentile(sorted: Float64Array, share: number): number | null {
  const value = sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)]
  return value === undefined || !Number.isFinite(value) ? null : value
}

/** Resolves with the commits of each partition, in offset order. */
export async function readCommitLogs(paths: string[]): Promise<Map<number, Commit[]>> {
  const commits = new Map<number, Commit[]>()
  for (const path of paths) {
    for await (const { at, partitions } of readJsonLines<CommitLine>(path)) {
      for (const [partition, from, next] of partitions) {
        if (!commits.has(partition)) commits.set(partition, [])
        commits.get(partition)!.push({ from, next, at })
      }
    }
  }
  for (const [partition, list] of commits) commits.set(partition, withoutRolledBack(list))
  return commits
}

/** Returns the commits in offset order. Later commits replace those that a failover rolled back. */
function withoutRolledBack(commits: Commit[]): Commit[] {
  const kept: Commit[] = []
  for (const commit of commits.sort((a, b) => a.at - b.at)) {
    while (kept.length > 0 && kept.at(-1)!.from < commit.next && kept.at(-1)!.next > commit.from) kept.pop()
    kept.push(commit)
  }
  return kept.sort((a, b) => a.from - b.from)
}
