/**
 * Reports transactions that stay open (contract, section 2): read-committed readers get no record after the start of an
 * open transaction, and nothing else shows that results are missing.
 */
import type { OwnedPartition } from './owned-partition.ts'
import type { Source, Telemetry } from './ports.ts'

/** A dead producer's transaction is aborted after 60 s by default (transaction.timeout.ms). */
const OPEN_TOO_LONG_MS = 30_000
/** Partitions that a message names. One transaction can cover every partition. */
const MAX_NAMED = 3

export type OpenTransactionsDeps = {
  topic: string
  source: Source
  telemetry: Telemetry
  partitions: () => Iterable<OwnedPartition>
}

/** Raises or clears the condition. Never rejects: without an answer from Kafka, the message names no producer. */
export async function checkOpenTransactions(deps: OpenTransactionsDeps): Promise<void> {
  const stuck = [...deps.partitions()].filter(p => p.readable && p.stableOffsetStoodMs >= OPEN_TOO_LONG_MS)
  const texts = await Promise.all(stuck.slice(0, MAX_NAMED).map(partition => describe(deps, partition)))
  const open = texts.filter(text => text !== null)
  const more = open.length > 0 && stuck.length > MAX_NAMED ? [`${stuck.length - MAX_NAMED} more partitions`] : []
  deps.telemetry.condition('OpenTransaction', open.length === 0 ? null : [...open, ...more].join('; '))
}

/** Null if the transaction has ended since the last fetch. */
async function describe({ topic, source }: OpenTransactionsDeps, owned: OwnedPartition): Promise<string | null> {
  const { partition, lastStableOffset: offset, stableOffsetSince } = owned
  const transactions = await source.openTransactions(partition).catch(() => null)
  const first = transactions?.find(({ startOffset }) => startOffset <= offset)
  if (transactions !== null && !first) return null
  const producer = first
    ? `producer ${first.producerId} has an open transaction, and wrote its last record at ${timeOf(first.lastWriteAt)}`
    : 'a transaction is open, but Kafka did not return its producer'
  return `partition ${partition}: ${producer}. No record from offset ${offset} on can be read since ${timeOf(stableOffsetSince)} or earlier. Stop the producer or repair it; if the transaction remains open, abort it: kafka-transactions.sh --bootstrap-server SERVER abort --topic ${topic} --partition ${partition} --start-offset ${offset}`
}

const timeOf = (ms: number) => `${new Date(ms).toISOString().slice(0, 19)}Z`
