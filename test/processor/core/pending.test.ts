import { describe, expect, it } from 'vitest'
import { BatchCursor } from '#processor/core/batches.ts'
import { Pending } from '#processor/core/pending.ts'
import { encodeBatch, type TestRecord } from '#test/support/record-batch.ts'

const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

/** When the records were made, as far as it is known. `appendTime`: the brokers', for the whole batch. */
function originsOf(records: Omit<TestRecord, 'delta' | 'key' | 'value'>[], appendTime?: number): Pending {
  const cursor = new BatchCursor(() => Buffer.alloc(0))
  const pending = new Pending(0, 0)
  const all = records.map((record, delta) => ({ key: null, value: Buffer.from('{}'), ...record, delta }))
  cursor.begin(encodeBatch({ baseOffset: 0, records: all, ...(appendTime ? { appendTime } : {}) }), [], 0)
  while (cursor.next()) pending.noteOrigin(3, cursor)
  return pending
}

describe('when a record was made (section 9)', () => {
  it('is its own timestamp, if it has one', () => {
    const records = [{ timestamp: 1000 }, { timestamp: -1 }, { timestamp: 3000, headers: [['sent-at', '7']] as never }]
    expect(originsOf(records).createdAt).toEqual([1000, 3000])
  })

  it('is told by the header sent-at where brokers set the timestamp, else nobody knows', () => {
    const sentAt = (value: string) => ({ timestamp: 1000, headers: [['sent-at', value]] as [string, string][] })
    const records = [sentAt('1768471208000'), { timestamp: 1000 }, sentAt(''), sentAt('yesterday'), sentAt('-5')]
    expect(originsOf(records, 9000).createdAt).toEqual([1_768_471_208_000])
  })

  it('is kept with its trace', () => {
    const { traced } = originsOf([{ timestamp: 1000 }, { timestamp: 2000, headers: [['traceparent', TRACE]] }])
    expect(traced).toEqual([{ traceparent: TRACE, partition: 3, offset: 1, createdAt: 2000 }])
  })
})
