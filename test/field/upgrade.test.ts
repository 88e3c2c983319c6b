/**
 * A pipeline of release 0.3.0 whose document is changed to accept more: records before the change keep their verdict, for the
 * engine that reads them again after a claim, and for the verifier that reads the whole topic.
 */
import { describe, expect, it } from 'vitest'
import { compileSpec } from '#pipeline/compiled-spec.ts'
import { checkPipeline } from '#pipeline/parse.ts'
import { PartitionState } from '#processor/core/partition.ts'
import { firstClaim } from '#test/support/claim.ts'
import { encodeBatch } from '#test/support/record-batch.ts'
import { historyOf } from '#test/verify/support.ts'
import { Recomputation } from '#verify/recompute.ts'
import { readSpec, type WrittenDocument } from '#verify/spec.ts'
import { documentOf } from './readers.ts'

const TIME = '2026-11-29T12:00:00Z'
const RECEIVED = Date.parse(TIME)

const documentWith = (field: object, event: object, time: object) =>
  documentOf({
    event: {
      id: 'id',
      ...event,
      time: { path: 'ts', ...time },
      fields: [{ name: 'amount', type: 'decimal', default: '0', ...field }],
    },
    deduplication: {},
  })

const stored = documentWith({}, {}, { format: 'rfc3339', unit: 'ms', notBefore: '1970-01-01T00:00:00Z' })

/** Each: the change, and a value that is dead without it and has the id 1. */
const CHANGES: [name: string, changed: object, record: object | string][] = [
  ['rounding', documentWith({ rounding: 'half-even' }, {}, {}), { id: 1, ts: TIME, amount: 1.005 }],
  ['blankAsNull', documentWith({ blankAsNull: true }, {}, {}), { id: 1, ts: TIME, amount: '' }],
  ['integralIds', documentWith({}, { integralIds: true }, {}), '{"id":1.0,"ts":"2026-11-29T12:00:00Z","amount":1}'],
  ['iso8601', documentWith({}, {}, { format: 'iso8601' }), { id: 1, ts: '2026-11-29T09:00:00-0300', amount: 1 }],
  [
    'notBefore',
    documentWith({}, {}, { notBefore: '1900-01-01T00:00:00Z' }),
    { id: 1, ts: '1969-12-31T23:59:59Z', amount: 1 },
  ],
]

/** Records after the change: the good one is no duplicate of the dead one, but the value that is accepted then is one. */
const LATER = { records: 2, dead: 0, duplicate: 1, accepted: 1 }

describe.each(CHANGES)('a change of %s', (_name, changed, record) => {
  const dead = Buffer.from(typeof record === 'string' ? record : JSON.stringify(record))
  const good = Buffer.from(JSON.stringify({ id: 1, ts: TIME, amount: 1 }))
  // Before the change: one record that is dead. After it: the same id in a good record, and the first value again.
  const values = [dead, good, dead]
  const CHANGED_AT = 1

  it('keeps the verdict of earlier records when a worker restores its ids', () => {
    const [before, after] = [stored, changed].map(document => compileSpec(checkPipeline(document).spec))
    const segments = [
      { fromOffset: 0, generation: 1, specJson: 'before' },
      { fromOffset: CHANGED_AT, generation: 2, specJson: 'after' },
    ]
    const claim = firstClaim({ epoch: 2, nextOffset: CHANGED_AT, segments })
    const state = new PartitionState(claim, json => (json === 'before' ? before! : after!))
    const records = values.map((value, delta) => ({ delta, timestamp: RECEIVED, key: null, value }))
    state.begin([])
    state.feed({ data: encodeBatch({ baseOffset: 0, records }), cut: null })
    state.process()
    expect(state.freeze().commit.counters).toMatchObject(LATER)
  })

  it('keeps the verdict of earlier records for the verifier', () => {
    const [before, after] = [stored, changed].map(document => readSpec(document as unknown as WrittenDocument))
    const generations = [
      { number: 1, rules: before!.rules },
      { number: 2, rules: after!.rules },
    ]
    const stretches = new Map([
      [
        0,
        [
          { from: 0, generation: generations[0]!, recorded: true },
          { from: CHANGED_AT, generation: generations[1]!, recorded: true },
        ],
      ],
    ])
    const recomputation = new Recomputation(after!, historyOf(after!, { generations, stretches }))
    values.forEach((value, offset) => {
      recomputation.add({ partition: 0, offset, timestamp: RECEIVED, key: null, value, tooLarge: false })
    })
    const { records, dead, duplicate, accepted } = recomputation.partitions.get(0)!
    expect({ records, dead, duplicate, accepted }).toEqual({ ...LATER, records: 3, dead: 1 })
  })
})
