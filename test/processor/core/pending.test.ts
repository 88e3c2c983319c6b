import { describe, expect, it } from 'vitest'
import { BatchCursor } from '#processor/core/batches.ts'
import { Pending } from '#processor/core/pending.ts'
import { encodeBatch, type TestRecord } from '#test/support/record-batch.ts'

const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

/** Notes the origins of these records. `appendTime`: timestamp of the broker for the whole batch. */
function originsOf(records: Omit<TestRecord, 'delta' | 'key' | 'value'>[], appendTime?: number): Pending {
  const cursor = new BatchCursor()
  const pending = new Pending(0, 0, 0)
  const all = records.map((record, delta) => ({ key: null, value: Buffer.from('{}'), ...record, delta }))
  cursor.begin([], 0)
  cursor.feed({ data: encodeBatch({ baseOffset: 0, records: all, ...(appendTime ? { appendTime } : {}) }), cut: null })
  while (cursor.next()) pending.noteOrigin(cursor)
  return pending
}

describe('the creation time of a record (section 9)', () => {
  it('takes the creation time from the record’s timestamp, if it has one', () => {
    const records = [{ timestamp: 1000 }, { timestamp: -1 }, { timestamp: 3000, headers: [['sent-at', '7']] as never }]
    expect(originsOf(records).createdAt).toEqual([1000, 3000])
  })

  it('takes the creation time only from the header sent-at when brokers set the timestamp', () => {
    const sentAt = (value: string) => ({ timestamp: 1000, headers: [['sent-at', value]] as [string, string][] })
    const records = [sentAt('1768471208000'), { timestamp: 1000 }, sentAt(''), sentAt('yesterday'), sentAt('-5')]
    expect(originsOf(records, 9000).createdAt).toEqual([1_768_471_208_000])
  })
})

describe('the trace of a record', () => {
  const tracesOf = (...headers: string[]) =>
    originsOf(headers.map(value => ({ timestamp: 1, headers: [['traceparent', value]] as [string, string][] }))).traces

  it('takes the trace from the header traceparent, and the known part of later format versions', () => {
    expect(tracesOf(TRACE, `${TRACE.replace('00-', 'cc-')}-more`)).toEqual([TRACE, TRACE.replace('00-', 'cc-')])
    expect(originsOf([{ timestamp: 1 }]).traces).toEqual([])
  })

  it('ignores a traceparent that is not sampled or not valid', () => {
    const [trace, span] = [TRACE.slice(3, 35), TRACE.slice(36, 52)]
    const unsampled = `00-${trace}-${span}-00`
    const zeroIds = [`00-${'0'.repeat(32)}-${span}-01`, `00-${trace}-${'0'.repeat(16)}-01`]
    expect(
      tracesOf('', 'x', unsampled, ...zeroIds, TRACE.toUpperCase(), `${TRACE}\0`, ` ${TRACE}`, `${TRACE}x`),
    ).toEqual([])
  })
})
