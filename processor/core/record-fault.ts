/** Why a record is dead, before or after a decoder has read it. */
import type { BatchCursor } from './batches.ts'
import type { DecodeFault, Decoder } from './decode/decoder.ts'

export const STORE_REJECTED: DecodeFault = { reason: 'store_rejected', field: null }
const TOO_LARGE: DecodeFault = { reason: 'too_large', field: null }
const TOMBSTONE: DecodeFault = { reason: 'tombstone', field: null }

/** Decodes the record at the cursor. Returns null for a good record. */
export function faultOf(decoder: Decoder, cursor: BatchCursor): DecodeFault | null {
  if (cursor.cut) return TOO_LARGE
  if (cursor.valueEnd < 0) return TOMBSTONE
  return decoder.decode(cursor.bytes, cursor.valueStart, cursor.valueEnd, cursor.timestamp)
}
