/**
 * Removes what a pipeline stored, and nothing else: documents first, rows last. Whatever way a run ends, the next one
 * goes on: while the rows are there, they prove that the documents are this pipeline's to remove.
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

/** Waits for sinks that are down or refuse us. False when the signal came before all was done. */
export async function removeResults(deps: RemovalDeps): Promise<boolean> {
  const { rows, documents, telemetry } = deps
  const whose = await patiently(deps, () => rows.find())
  if (whose === null) return false
  if (whose !== 'ours') {
    tell(telemetry, rows, whose)
    telemetry.log('info', 'nothing is removed')
    return true
  }
  for (const stored of [...documents, rows]) {
    const was = await patiently(deps, () => stored.remove())
    if (was === null) return false
    tell(telemetry, stored, was)
  }
  return true
}

function tell(telemetry: Telemetry, { name }: Stored, was: Belonging): void {
  if (was === 'foreign') telemetry.log('warn', `${name} was not made by this pipeline: it is left alone`)
  else telemetry.log('info', was === 'ours' ? `removed ${name}` : `there is no ${name}`)
}

/** As retrying, but what a person can heal is waited for, too: then it goes on by itself. */
function patiently<T>(deps: RemovalDeps, call: () => Promise<T>): Promise<T | null> {
  return retrying(deps, 'StoreUnavailable', () =>
    call().catch(error => {
      const isHealable = error instanceof Fatal && error.code === 'AccessDenied'
      throw isHealable ? new Retryable(error.message, { cause: error }) : error
    }),
  )
}
