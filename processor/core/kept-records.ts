/** Records that are stored whole: late events and dead letters. They are copied, because a fetch's bytes are reused. */
import type { BatchCursor } from './batches.ts'
import type { DeadLetter, LateEvent } from './commit.ts'
import type { DecodeFault, Decoder } from './decode/decoder.ts'
import { describeUnread } from './decode/parse/fault-detail.ts'
import { describeNotJson } from './not-json.ts'

function payloadOf(cursor: BatchCursor): Buffer | null {
  return cursor.valueEnd < 0 ? null : Buffer.from(cursor.bytes.subarray(cursor.valueStart, cursor.valueEnd))
}

export function lateEvent(
  partition: number,
  cursor: BatchCursor,
  aggregation: number,
  eventTime: number,
  missed: number[],
  entirely: boolean,
): LateEvent {
  return { partition, offset: cursor.offset, aggregation, eventTime, missed, entirely, payload: payloadOf(cursor)! }
}

export function deadLetter(
  partition: number,
  cursor: BatchCursor,
  fault: DecodeFault,
  decoder: Decoder,
  countedLines: number,
): DeadLetter {
  const payload = payloadOf(cursor)
  return {
    partition,
    offset: cursor.offset,
    reason: fault.reason,
    field: fault.field,
    recordTimestamp: cursor.timestamp,
    key: cursor.keyEnd < 0 ? null : Buffer.from(cursor.bytes.subarray(cursor.keyStart, cursor.keyEnd)),
    headers: cursor.headers(),
    payload,
    payloadBytes: cursor.cut?.valueBytes ?? payload?.length ?? 0,
    payloadSha256: cursor.cut?.valueSha256 ?? null,
    detail: detailOf(cursor, fault, payload, decoder),
    countedLines,
  }
}

/** `decoder`: its last record is this one, unless no decoder read it. */
function detailOf({ cut }: BatchCursor, fault: DecodeFault, payload: Buffer | null, decoder: Decoder): string | null {
  if (fault.reason === 'not_json') return describeNotJson(payload!)
  return describeUnread(fault.reason, cut?.valueBytes) ?? decoder.describe(fault)
}
