/** Fields of events may have the names of JavaScript's own properties. */
import { describe, expect, it } from 'vitest'
import { parsePipeline } from '#pipeline/parse.ts'
import { ingestApp } from './fixture.ts'

const NAMES = ['constructor', 'toString', 'valueOf', 'hasOwnProperty', 'isPrototypeOf', 'prototype', '__proto__']
const documentOf = (name: string) =>
  parsePipeline(`
apiVersion: salespipeline.dev/v1alpha1
kind: SalesPipeline
metadata: { name: hostile }
spec:
  source: { topic: hostile }
  event:
    id: ${name}.id
    time: { path: ${name}.at }
    fields:
      - { name: constructor, path: ${name}.text }
      - { name: amount, path: nested.${name}, type: decimal }
      - { name: note, path: ${name}.note, optional: true }
    explode: { path: ${name}.lines, fields: [{ name: line_text, path: ${name} }] }
  aggregations: [{ name: constructor, groupBy: [constructor, line_text], measures: [{ name: tostring, op: sum, of: amount }] }]
`).spec

describe.each(NAMES)('a sale with fields named %s', name => {
  const sale = (amount: unknown) =>
    JSON.stringify({
      [name]: { id: '1', at: '2026-01-31T12:00:00Z', text: 'a', lines: [{ [name]: 'b' }] },
      nested: { [name]: amount },
    })
  const sales = (at: unknown) =>
    `{ "nested": { "${name}": 1 }, "${name}": { "id": "1", "at": ${at}, "lines": [{ "${name}": 2 }] } }`

  it('accepts a valid sale with a field named like a method, and refuses an invalid one with the name of its field', async () => {
    const { app, post, records } = await ingestApp(documentOf(name))
    expect(await post(sale('1.50'))).toMatchObject({ status: 202 })
    expect(records).toMatchObject([{ key: '1', value: sale('1.50') }])
    expect(await post(sale(true))).toMatchObject({ status: 400, body: { faults: [{ field: `nested.${name}` }] } })
    const { status, body } = await post('{}')
    expect([status, body.faults!.map(({ field }) => field).sort()]).toEqual([400, [name, 'nested'].sort()])
    expect(await post(sales('true'))).toMatchObject({
      status: 400,
      body: { faults: [{ field: `${name}.text` }, { field: `${name}.at` }, { field: `${name}.lines[0].${name}` }] },
    })
    for (const url of ['/openapi.json', '/docs']) {
      const { statusCode, body } = await app.inject(url)
      expect([statusCode, body.includes(name)]).toEqual([200, true])
    }
  })
})
