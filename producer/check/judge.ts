/** What is at fault, from what can be seen. Pure. */
import type { Place } from './ingest.ts'
import type { Seen, SeenProjection } from './postgres.ts'
import { CheckFailed } from './waiting.ts'

const SAME_DOCUMENT = 'Do the workers read the same document as --file?'

/** "revenue is 12.35, not 12.34", for every column that is not exactly so. */
export function differences(holds: Record<string, string>, found: Record<string, unknown>): string[] {
  return Object.entries(holds)
    .filter(([name, text]) => String(found[name]) !== text)
    .map(([name, text]) => `${name} is ${found[name] ?? 'absent'}, not ${text}`)
}

/** `since`: where the partition's progress stood when it was first seen. Throws CheckFailed when waiting is in vain. */
export function whyNoRow(
  { hasSchema, hasTable, progress, dead, late }: Seen,
  { aggregation, schema, place, since }: { aggregation: string; schema: string; place: Place; since: number | null },
): string {
  const { partition, offset } = place
  if (!hasSchema)
    return `there is no schema ${schema} (it follows from metadata.namespace and metadata.name of --file): no worker has been here. Do the workers run?`
  if (dead) throw new CheckFailed(deadLetter(dead, place))
  if (late.includes(aggregation))
    throw new CheckFailed(
      `the sale came too late for ${aggregation}, though its time is now: events with later times have moved the watermark of partition ${partition} (late_events, offset ${offset})`,
    )
  if (!hasTable) return `schema ${schema} has no table ${aggregation}. ${SAME_DOCUMENT}`
  if (!progress) return `no worker has claimed partition ${partition} yet. Do the workers run?`
  if (progress.first > offset)
    throw new CheckFailed(
      `the pipeline began at offset ${progress.first} of partition ${partition}, after the sale at ${offset} (spec.source.startFrom). Check again, now that it has begun`,
    )
  if (progress.next > offset)
    return `partition ${partition} is committed past the sale's offset ${offset}, and it is neither a row nor a dead letter nor late. ${SAME_DOCUMENT}`
  const moves =
    since === progress.next ? 'has not moved since. Do the workers run?' : `was ${since} at first, so it moves`
  return `partition ${partition} is committed up to offset ${progress.next}, the sale is at ${offset}; progress ${moves}`
}

function deadLetter({ reason, field }: NonNullable<Seen['dead']>, { partition, offset }: Place): string {
  const at = field === null ? '' : ` (field ${field})`
  return `the sale is a dead letter: ${reason}${at}, partition ${partition}, offset ${offset}. ${SAME_DOCUMENT}`
}

/** Throws CheckFailed when waiting is in vain. */
export function whyNoDocument(seen: SeenProjection, aggregation: string, index: string): string {
  if (seen.error !== null)
    throw new CheckFailed(`the row is there, but Elasticsearch refuses its document for ever: ${seen.error}`)
  const row = `the row is there, but no document in index ${index}`
  if (seen.index !== index)
    return `${row}: the workers project ${aggregation} into ${seen.index ?? 'no index'}. ${SAME_DOCUMENT}`
  return `${row}: ${seen.waiting} changes of ${aggregation} wait for the projection. Do the workers reach Elasticsearch?`
}
