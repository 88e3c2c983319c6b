/** Explains why a check does not find its row or document. Pure. */
import type { Position } from './ingest.ts'
import type { ProjectionState, SaleState } from './postgres.ts'
import { CheckFailed } from './waiting.ts'

export const SAME_FILE = 'Check that the workers use the same SalesPipeline file as --file'
const WORKERS_RUN = 'Check that workers are running'

/** Returns "revenue: expected 12.34, found 12.35" for every column that differs from its expected text. */
export function differences(expected: Record<string, string>, found: Record<string, unknown>): string[] {
  const foundAt = (name: string) => (Object.hasOwn(found, name) ? found[name] : undefined)
  return Object.entries(expected)
    .filter(([name, text]) => String(foundAt(name)) !== text)
    .map(([name, text]) => `${name}: expected ${text}, found ${foundAt(name) ?? 'no value'}`)
}

/** `since`: the partition's progress when it was first read. Throws CheckFailed if the row cannot appear any more. */
export function whyNoRow(
  { hasSchema, hasTable, progress, dead, late }: SaleState,
  {
    aggregation,
    schema,
    position,
    since,
  }: { aggregation: string; schema: string; position: Position; since: number | null },
): string {
  const { partition, offset } = position
  if (!hasSchema)
    return `schema ${schema}, which --file determines, does not exist: no worker has run yet. ${WORKERS_RUN}`
  if (dead) throw new CheckFailed(deadLetter(dead, position))
  if (late.includes(aggregation))
    throw new CheckFailed(
      `the sale is late for ${aggregation}: events with future times have moved the watermark of partition ${partition} past the current time. Correct the clock of the producer that sends them. The sale is in table late_events, partition ${partition}, offset ${offset}`,
    )
  if (!hasTable) return `schema ${schema} has no table ${aggregation}. ${SAME_FILE}`
  if (!progress) return `no worker has claimed partition ${partition} yet. ${WORKERS_RUN}`
  if (progress.first > offset)
    throw new CheckFailed(
      `the pipeline started at offset ${progress.first} of partition ${partition}, after the sale at offset ${offset} (spec.source.startFrom). Run the check again`,
    )
  if (progress.next > offset)
    return `partition ${partition} is committed past the sale's offset ${offset}, but the sale has no row, dead letter or late event. ${SAME_FILE}`
  const movement =
    since === progress.next
      ? `has not changed since the check began. ${WORKERS_RUN}`
      : `increased from ${since} since the check began, so the workers are catching up`
  return `partition ${partition} is committed up to offset ${progress.next}, but the sale is at offset ${offset}. The committed offset ${movement}`
}

function deadLetter({ reason, field }: NonNullable<SaleState['dead']>, { partition, offset }: Position): string {
  const at = field === null ? '' : ` (field ${field})`
  return `the workers could not use the sale and stored it as a dead letter: ${reason}${at}, partition ${partition}, offset ${offset}. ${SAME_FILE}`
}

/** Throws CheckFailed if the document cannot appear any more. */
export function whyNoDocument(seen: ProjectionState, aggregation: string, index: string): string {
  if (seen.error !== null)
    throw new CheckFailed(
      `the row is in PostgreSQL, but Elasticsearch permanently rejects its document: ${seen.error}. Correct the cause, usually the mapping of index ${index}`,
    )
  const row = `the row is in PostgreSQL, but index ${index} has no document for this row`
  if (seen.index !== index)
    return `${row}: the workers write ${aggregation} to ${seen.index === null ? 'no index' : `index ${seen.index}`}. ${SAME_FILE}`
  return `${row}: ${seen.waiting} changes of ${aggregation} are queued. Check that the workers can reach Elasticsearch`
}
