/** What a dead letter shows: the path of the fault, the same for engine and verifier, and a description without values. */
import { describe, expect, it } from 'vitest'
import { compileSpec } from '#pipeline/compiled-spec.ts'
import { checkPipeline } from '#pipeline/parse.ts'
import type { DeadLetter } from '#processor/core/commit.ts'
import { PartitionState } from '#processor/core/partition.ts'
import { withoutLimits } from '#test/pipeline/documents.ts'
import { firstClaim } from '#test/support/claim.ts'
import { encodeBatch } from '#test/support/record-batch.ts'
import { historyOf } from '#test/verify/support.ts'
import { Recomputation } from '#verify/recompute.ts'
import { readDocument, readSpec, type WrittenDocument } from '#verify/spec.ts'
import { documentOf } from './readers.ts'

const RECEIVED = Date.UTC(2026, 10, 29, 12)
const written = documentOf({
  event: {
    id: 'meta.id',
    time: { path: 'meta.at' },
    fields: [
      { name: 'city', path: 'shop.city' },
      { name: 'total', path: 'sums.total', type: 'decimal' },
    ],
    explode: {
      path: 'order.lines',
      maxLines: 3,
      fields: [
        { name: 'product', path: 'item.sku' },
        { name: 'price', type: 'decimal' },
        { name: 'pieces', type: 'number', default: '1' },
      ],
    },
  },
  aggregations: [{ name: 'all', groupBy: ['city', 'product'], measures: [{ name: 'orders', op: 'count' }] }],
  deduplication: {},
})
const pipeline = checkPipeline(written)

const line = { item: { sku: 'pen' }, price: '1.50' }
const good = {
  meta: { id: 1, at: '2026-11-29T12:00:00Z' },
  shop: { city: 'Graz' },
  sums: { total: 1.5 },
  order: { lines: [line] },
}
const at = (time: unknown) => ({ ...good, meta: { id: 1, at: time } })
const lines = (...list: unknown[]) => ({ ...good, order: { lines: list } })
const total = (value: unknown) => ({ ...good, sums: { total: value } })

const SECRET = 'hunter2-Grüße\n\u{1F600}\0'
const FORM = 'aaaaaa9-aaaaa\\u{a}\\u{1f600}\\u{0}'
const CASES: [value: unknown, reason: string, field: string | null, name: string | null, detail: string | RegExp][] = [
  [null, 'tombstone', null, null, 'no value; send one JSON object per record'],
  ['', 'empty_value', null, null, 'a value of 0 bytes; send one JSON object per record'],
  ['[1,2]', 'not_an_object', null, null, 'an array of 2 elements; send one JSON object per record'],
  ['"x7"', 'not_an_object', null, null, /^text of the form a9 /],
  ['['.repeat(501), 'too_deep', null, null, /^arrays and objects are nested more than 500 deep; /],
  ['{"a":NaN}', 'not_json', null, null, /^NaN at byte 5; /],
  [{ ...good, meta: {} }, 'missing_id', 'meta.id', 'meta.id', /^no id in meta; correct spec\.event\.id/],
  [
    { ...good, meta: { id: [] } },
    'wrong_type',
    'meta.id',
    'meta.id',
    /^an array of 0 elements; an id is text or a whole/,
  ],
  [
    { ...good, meta: { id: 1.5 } },
    'wrong_type',
    'meta.id',
    'meta.id',
    /form 9\.9; an id .*\. Set spec\.event\.integralIds/,
  ],
  [
    { ...good, meta: { id: 1 } },
    'missing_field',
    'meta.at',
    'meta.at',
    /^no at in meta; correct spec\.event\.time\.path/,
  ],
  [at(7), 'wrong_type', 'meta.at', 'meta.at', /^a number of the form 9; set spec\.event\.time\.format/],
  [at('29/11/2026 9am'), 'bad_time', 'meta.at', 'meta.at', /^text of the form 99\/99\/9999 9aa \(/],
  [
    at('0001-01-01T00:00:00Z'),
    'bad_time',
    'meta.at',
    'meta.at',
    /^0001-01-01T00:00:00\.000Z is before .*, or set notBefore$/,
  ],
  [
    at('2027-01-01T00:00:00Z'),
    'future_timestamp',
    'meta.at',
    'meta.at',
    /^2027-.*, but the record's timestamp is 2026-11-29T12/,
  ],
  [
    { ...good, shop: SECRET },
    'missing_field',
    'shop.city',
    'city',
    `shop is text of the form ${FORM} (9: a digit, a: a letter), in which there is no city; correct the path of the field, or set a default`,
  ],
  [{ ...good, shop: undefined }, 'missing_field', 'shop.city', 'city', /^no shop; correct the path/],
  [{ ...good, shop: { city: null } }, 'missing_field', 'shop.city', 'city', /^null; correct the path/],
  [
    { ...good, shop: { city: true } },
    'wrong_type',
    'shop.city',
    'city',
    /^a boolean, but the field has type string; set the type/,
  ],
  [{ ...good, shop: { city: '\ud800' } }, 'bad_string', 'shop.city', 'city', /^text that is not valid UTF-8/],
  [
    total(''),
    'bad_number',
    'sums.total',
    'total',
    'blank text, which is no number; correct the producer, or set blankAsNull if the text is blank',
  ],
  [total('R$ 12,50'), 'bad_number', 'sums.total', 'total', /^text of the form a\$ 99,99 \(/],
  [
    total(1.005),
    'too_many_decimals',
    'sums.total',
    'total',
    /^a number of the form 9\.999, but scale is 2; set rounding/,
  ],
  [
    total(`1${'0'.repeat(99)}`),
    'overflow',
    'sums.total',
    'total',
    /^text of the form 9{40}… \(9: a digit, a: a letter\); a number has at most 30/,
  ],
  [
    { ...good, order: {} },
    'missing_field',
    'order.lines',
    'order.lines',
    /^no lines in order; correct spec\.event\.explode\.path/,
  ],
  [
    { ...good, order: { lines: {} } },
    'wrong_type',
    'order.lines',
    'order.lines',
    /^an object, but spec\.event\.explode\.path must lead to an array/,
  ],
  [lines(), 'empty_lines', 'order.lines', 'order.lines', /^an array without elements/],
  [
    lines(line, line, line, line),
    'too_many_lines',
    'order.lines',
    'order.lines',
    /^an array of 4 elements, but maxLines is 3; /,
  ],
  [
    lines(line, 7),
    'wrong_type',
    'order.lines[1]',
    'order.lines',
    /^a number of the form 9, but each line must be an object/,
  ],
  [lines(line, line, { price: 1 }), 'missing_field', 'order.lines[2].item.sku', 'product', /^no item; /],
  [
    lines({ ...line, price: true }),
    'wrong_type',
    'order.lines[0].price',
    'price',
    /^a boolean, but the field has type decimal/,
  ],
  [lines({ ...line, pieces: '3' }), 'wrong_type', 'order.lines[0].pieces', 'pieces', /^text of the form 9 /],
  [
    lines(line, { ...line, item: { sku: 'x'.repeat(1021) } }),
    'key_too_long',
    'order.lines[1].item.sku',
    'product',
    /^1025 bytes in the groupBy fields/,
  ],
  [{ ...good, shop: { city: 'x'.repeat(1023) } }, 'key_too_long', 'shop.city', 'city', /^1026 bytes/],
]
const VALUES = CASES.map(([value]) =>
  value === null ? null : Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)),
)

function deadByEngine(spec: typeof pipeline.spec): DeadLetter[] {
  const compiled = compileSpec(spec)
  const state = new PartitionState(firstClaim(), () => compiled)
  const records = VALUES.map((value, delta) => ({ delta, timestamp: RECEIVED, key: null, value }))
  state.begin([])
  state.feed({ data: encodeBatch({ baseOffset: 0, records }), cut: null })
  state.process()
  return state.freeze().dead
}

function deadByVerifier(document: WrittenDocument): [reason: string, field: string | null][] {
  const spec = readSpec(document)
  const recomputation = new Recomputation(spec, historyOf(spec))
  VALUES.forEach((value, offset) => {
    recomputation.add({ partition: 0, offset, timestamp: RECEIVED, key: null, value, tooLarge: false })
  })
  return [...recomputation.dead.values()].map(row => JSON.parse(row).slice(0, 2))
}

describe('a dead letter', () => {
  const engine = deadByEngine(pipeline.spec)

  it('names the value at fault by its path, with the index of the line', () => {
    const expected = CASES.map(([, reason, field]) => [reason, field])
    expect(engine.map(({ reason, field }) => [reason, field])).toEqual(expected)
    expect(deadByVerifier(readDocument(JSON.stringify(written)))).toEqual(expected)
  })

  it('keeps the name of the field in a generation of release 0.3.0', () => {
    // These releases accepted early times, and any number of lines.
    const accepted = ['0001-01-01T00:00:00.000Z is before', 'an array of 4 elements']
    const isKept = (detail: string | RegExp) =>
      !accepted.some(text => String(detail).replaceAll('\\', '').includes(text))
    const expected = CASES.filter(([, , , , detail]) => isKept(detail)).map(([, reason, , name]) => [reason, name])
    const stored = withoutLimits(pipeline)
    expect(deadByEngine(stored.spec).map(({ reason, field }) => [reason, field])).toEqual(expected)
    expect(deadByVerifier(JSON.parse(JSON.stringify(stored)))).toEqual(expected)
  })

  it.each(CASES.map(([, reason, field, , detail], i) => ({ reason, field, detail, i })))(
    'describes what is wrong and what to do: $reason at $field',
    ({ detail, i }) => {
      const found = engine[i]!.detail!
      if (typeof detail === 'string') expect(found).toBe(detail)
      else expect(found).toMatch(detail)
      expect(found).toMatch(/^[ -~…]+$/)
      expect(found.length).toBeLessThan(300)
    },
  )
})
