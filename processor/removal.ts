/**
 * Removes what a pipeline stored, and nothing else: documents first, rows last. After an interruption the next run
 * continues: as long as the rows exist, they prove that the documents belong to this pipeline.
 */
import { Fatal, Retryable } from './errors.ts'
import type { Belonging, Chance, Clock, Stored, StoredRows, Telemetry } from './ports.ts'
import { retrying } from './retrying.ts'

export type RemovalDeps = {
  rows: StoredRows
  documents: Stored[]
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
  for (const stored of [...documents, rows]) {
    const belonging = await retryingUntilAllowed(deps, () => stored.remove())
    if (belonging === null) return false
    logRemoval(telemetry, stored, belonging)
  }
  return true
}

function logRemoval(telemetry: Telemetry, { name }: Stored, belonging: Belonging): void {
  if (belonging === 'foreign') telemetry.log('warn', `skipped ${name}: this pipeline did not create it`)
  else telemetry.log('info', belonging === 'ours' ? `removed ${name}` : `${name} does not exist`)
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
