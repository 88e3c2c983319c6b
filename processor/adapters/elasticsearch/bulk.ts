/** Builds bulk requests with external versions and judges the result of each row. */
import { serverText } from '#common/redact.ts'
import type { ProjectedRow } from '#processor/ports.ts'
import { type Cause, causes } from './errors.ts'

/** Elastic recommends 5 to 15 MB per bulk request; at 5 MB it also passes most proxies. */
const CHUNK_BYTES = 5_000_000
const CHUNK_ROWS = 2000

/** A row, or the removal of its former document, and its lines in the request, without the last newline. */
export type BulkEntry = { row: ProjectedRow; lines: string }

export type BulkItem = { status: number; error?: Cause }

/** `newer`: the index already has a newer version of the row. `later`: a retry may succeed. */
export type Verdict = 'done' | 'newer' | 'rejected' | 'later'

/** Yields chunks in the order of the rows. A row that is larger than a chunk gets its own. */
export function* chunksOf(rows: ProjectedRow[], indexOf: (aggregation: number) => string): Generator<BulkEntry[]> {
  let chunk: BulkEntry[] = []
  let bytes = 0
  for (const entry of rows.flatMap(row => entriesOf(row, indexOf(row.aggregation)))) {
    const { lines } = entry
    const size = Buffer.byteLength(lines)
    if (chunk.length > 0 && (bytes + size > CHUNK_BYTES || chunk.length === CHUNK_ROWS)) {
      yield chunk
      chunk = []
      bytes = 0
    }
    chunk.push(entry)
    bytes += size
  }
  if (chunk.length > 0) yield chunk
}

function entriesOf(row: ProjectedRow, index: string): BulkEntry[] {
  const { formerId: id, version } = row
  const written = { row, lines: linesOf(row, index) }
  if (id === null) return [written]
  const former = `{"delete":${targetOf(index, id, version, 'external_gte')}}`
  return [written, { row: { ...row, id, document: null }, lines: former }]
}

function linesOf({ id, version, document }: ProjectedRow, index: string): string {
  const target = targetOf(index, id, version, 'external')
  return document ? `{"index":${target}}\n${JSON.stringify(document)}` : `{"delete":${target}}`
}

function targetOf(index: string, id: string, version: bigint, type: 'external' | 'external_gte'): string {
  return `{"_index":${JSON.stringify(index)},"_id":"${id}","version":${version},"version_type":"${type}"}`
}

/** A 404 without an error is a delete of a missing document, which Elasticsearch records with its version. */
export function judge({ status, error }: BulkItem, version: bigint): Verdict {
  if (status < 300 || (status === 404 && !error)) return 'done'
  if (status === 409) return versionFound(error) > version ? 'newer' : 'done'
  // 400 means a bad document. A closed index, a missing permission (403) or index (404) and overload (429) can pass.
  return status === 400 && error?.type !== 'index_closed_exception' ? 'rejected' : 'later'
}

/** Returns the version in the index, −1 if unknown; Elasticsearch reports it only in the message of the error. */
export function versionFound(error: BulkItem['error']): bigint {
  return BigInt(/current version \[(\d+)\]/.exec(error?.reason ?? '')?.[1] ?? -1)
}

export function describe({ status, error }: BulkItem): string {
  return serverText(error ? `${status} ${causes(error)}` : String(status))
}
