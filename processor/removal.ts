/**
 * Removes what a pipeline stored, and nothing else: documents first, rows last. After an interruption the next run
 * continues: as long as the rows exist, they prove that the documents belong to this pipeline.
 */
import { Fatal, Retryable } from './errors.ts'
import type { Chance, Clock, Removed, Stored, StoredRows, Telemetry } from './ports.ts'
import { retrying } from './retrying.ts'

export type RemovalDeps = {
  rows: StoredRows
  documents: (owner: string) => Stored[]
  clock: Clock
  chance: Chance
  telemetry: Telemetry
  signal: AbortSignal
}

/** Waits for sinks that are unavailable or deny access. Resolves with false when the signal aborts before the end. */
export async function removeResults(deps: RemovalDeps): Promise<boolean> {
  const { rows, documents, telemetry } = deps
  const belonging = await retryingUntilAllowed(deps, () => rows.find())
  if (belonging === null) return false
  if (belonging !== 'ours') {
    logRemoval(telemetry, rows, belonging)
    telemetry.log('info', 'nothing removed')
    return true
  }
  const owner = await retryingUntilAllowed(deps, () => rows.owner())
  if (owner === null) return false
  for (const stored of [...documents(owner), rows]) {
    const removed = await retryingUntilAllowed(deps, () => stored.remove())
    if (removed === null) return false
    logRemoval(telemetry, stored, removed)
  }
  return true
}

function logRemoval(telemetry: Telemetry, { name }: Stored, removed: Removed): void {
  if (removed === 'foreign') telemetry.log('warn', `skipped ${name}: this pipeline did not create it`)
  else if (removed === 'adopted')
    telemetry.log('info', `removed the documents of this pipeline from ${name}; kept ${name}, which it did not create`)
  else telemetry.log('info', removed === 'ours' ? `removed ${name}` : `${name} does not exist`)
}

/** As `retrying`, but also retries AccessDenied until a person grants access. */
function retryingUntilAllowed<T>(deps: RemovalDeps, call: () => Promise<T>): Promise<T | null> {
  return retrying(deps, 'StoreUnavailable', () =>
    call().catch(error => {
      const isDenied = error instanceof Fatal && error.code === 'AccessDenied'
      throw isDenied ? new Retryable(error.message, { cause: error }) : error
    }),
  )
}
