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
  while (cursor.next()) pending.noteOrigin(cursor)
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
})

describe('the trace under which a record was sent', () => {
  const tracesOf = (...headers: string[]) =>
    originsOf(headers.map(value => ({ timestamp: 1, headers: [['traceparent', value]] as [string, string][] }))).traces

  it('is its header, of later versions of the format the known part', () => {
    expect(tracesOf(TRACE, `${TRACE.replace('00-', 'cc-')}-more`)).toEqual([TRACE, TRACE.replace('00-', 'cc-')])
    expect(originsOf([{ timestamp: 1 }]).traces).toEqual([])
  })

  it('is none where nobody records it, or somebody wrote what he liked', () => {
    const [trace, span] = [TRACE.slice(3, 35), TRACE.slice(36, 52)]
    const unrecorded = `00-${trace}-${span}-00`
    const nowhere = [`00-${'0'.repeat(32)}-${span}-01`, `00-${trace}-${'0'.repeat(16)}-01`]
    expect(
      tracesOf('', 'x', unrecorded, ...nowhere, TRACE.toUpperCase(), `${TRACE}\0`, ` ${TRACE}`, `${TRACE}x`),
    ).toEqual([])
  })
})
