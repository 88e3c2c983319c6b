/** Rebuilds projections on demand, and shows the progress of the workers, which write the rows (contract, section 4). */
import type { Clock, RebuildProgress, RequestedRebuild } from './ports.ts'

const POLL_MS = 1000
/** Longer than a worker needs to connect again. */
const NO_WORKER_MS = 10_000
const STALLED_MS = 30_000

const NO_WORKER = `No worker of this pipeline is connected to PostgreSQL, so nothing writes the rows. They stay marked: the next worker writes them. Start a worker (npm start, or kubectl scale with spec.workers.replicas above 0), then wait until the condition ProjectionRebuilding clears.`
const STALLED = `No row was written for ${STALLED_MS / 1000} s. Look for the condition ProjectionBehind, IndexOwnedByOther or StoreUnavailable (kubectl describe spl, or /status of a worker). The workers continue as soon as its cause is repaired.`

export type RebuildDeps = {
  rebuild: RequestedRebuild
  indices: string[]
  clock: Clock
  print: (line: string) => void
}

/** Resolves with whether every row is written; with false if no worker writes them. */
export async function rebuildProjections({ rebuild, indices, clock, print }: RebuildDeps): Promise<boolean> {
  print(`marking all rows of ${indices.join(', ')} …`)
  await rebuild.begin()
  let shown = ''
  let changedAt = clock.now()
  let workerSeenAt = clock.now()
  for (;;) {
    const progress = await rebuild.progress()
    const now = clock.now()
    const line = describe(progress)
    // PostgreSQL hides the connections of workers that use another user, but not what they do.
    if (progress.workers > 0 || line !== shown) workerSeenAt = now
    if (line !== shown) {
      print(line)
      shown = line
      changedAt = now
    }
    if (progress.rebuilds.length === 0) return true
    if (now - workerSeenAt >= NO_WORKER_MS) {
      print(NO_WORKER)
      return false
    }
    if (now - changedAt >= STALLED_MS) {
      print(STALLED)
      changedAt = now
    }
    await clock.sleep(POLL_MS)
  }
}

function describe({ rebuilds }: RebuildProgress): string {
  if (rebuilds.length === 0) return 'the workers have written every row'
  return rebuilds.map(({ index, rows, written }) => `${index}: ${written} of ${rows} rows written`).join(', ')
}
