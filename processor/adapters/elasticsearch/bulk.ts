/** Bulk requests with external versions, and what the answer says about each row. */
import type { ProjectedRow } from '#processor/ports.ts'
import { brief, type Cause, causes } from './errors.ts'

/** Elastic's advice for bulk requests is 5 to 15 MB; smaller ones also get past most proxies. */
const CHUNK_BYTES = 5_000_000
const CHUNK_ROWS = 2000

/** A row and its lines in the request, the last newline left out. */
export type BulkEntry = { row: ProjectedRow; lines: string }

export type BulkItem = { status: number; error?: Cause }

/** `newer`: a greater version than the row's is there already. `later`: not now, perhaps next time. */
export type Verdict = 'done' | 'newer' | 'rejected' | 'later'

/** In the order of the rows. A row that is larger than a chunk gets one of its own. */
export function* chunksOf(rows: ProjectedRow[], indexOf: (aggregation: number) => string): Generator<BulkEntry[]> {
  let chunk: BulkEntry[] = []
  let bytes = 0
  for (const row of rows) {
    const lines = linesOf(row, indexOf(row.aggregation))
    const size = Buffer.byteLength(lines)
    if (chunk.length > 0 && (bytes + size > CHUNK_BYTES || chunk.length === CHUNK_ROWS)) {
      yield chunk
      chunk = []
      bytes = 0
    }
    chunk.push({ row, lines })
    bytes += size
  }
  if (chunk.length > 0) yield chunk
}

function linesOf({ id, version, document }: ProjectedRow, index: string): string {
  const target = `{"_index":${JSON.stringify(index)},"_id":"${id}","version":${version},"version_type":"external"}`
  return document ? `{"index":${target}}\n${JSON.stringify(document)}` : `{"delete":${target}}`
}

/** 404 without an error is a removal of what was never there: its version is remembered all the same. */
export function judge({ status, error }: BulkItem, version: bigint): Verdict {
  if (status < 300 || (status === 404 && !error)) return 'done'
  if (status === 409) return versionFound(error) > version ? 'newer' : 'done'
  // 400 tells of the document; a closed index, a missing permission (403), index (404) or capacity (429) can be healed.
  return status === 400 && error?.type !== 'index_closed_exception' ? 'rejected' : 'later'
}

/** Elasticsearch tells the version that is there only in its message. */
export function versionFound(error: BulkItem['error']): bigint {
  return BigInt(/current version \[(\d+)\]/.exec(error?.reason ?? '')?.[1] ?? -1)
}

export function describe({ status, error }: BulkItem): string {
  return brief(error ? `${status} ${causes(error)}` : String(status))
}
