/** The engine and the verifier share no code, but read every record alike: same verdict, same field at fault, same values. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Decoder } from '#processor/core/decode/decoder.ts'
import { hash128, viewOf } from '#processor/core/decode/hash.ts'
import { Interner } from '#processor/core/decode/interner.ts'
import { compiledFor, documentFor, type EventSpec } from '#test/processor/core/decode/compiled.ts'
import { eventSpec, recordFor } from '#test/processor/core/decode/spellings.ts'
import { check } from '#test/support/properties.ts'
import { canonical, decode, Fault } from '#verify/decode.ts'
import { readDocument, readSpec } from '#verify/spec.ts'

const NOW = Date.UTC(2026, 0, 31, 12)

type Reading = { reason: string; field: string | null } | { time: number; id: number[]; texts: (string | null)[] }

function readByEngine(spec: EventSpec): (record: Buffer) => Reading {
  const compiled = compiledFor(spec)
  const decoder = new Decoder(compiled, new Interner())
  return record => {
    const fault = decoder.decode(record, 0, record.length, NOW)
    if (fault) return { reason: fault.reason, field: fault.field }
    const texts = compiled.fields.map((_, field) => decoder.text(field))
    return { time: decoder.time, id: spec.id === undefined ? [] : [...decoder.id], texts }
  }
}

function readByVerifier(spec: EventSpec): (record: Buffer) => Reading {
  const { rules } = readSpec(readDocument(JSON.stringify(documentFor(spec))))
  return record => {
    try {
      const { time, id, lines } = decode(record, NOW, rules)
      return {
        time,
        id: id === null ? [] : hashOf(id),
        texts: rules.fields.map(({ name }) => canonical(lines[0]![name]!)),
      }
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      return { reason: error.reason, field: error.field }
    }
  }
}

function hashOf(id: string): number[] {
  const bytes = Buffer.from(id)
  const hash = new Int32Array(4)
  hash128(viewOf(bytes), 0, bytes.length, hash)
  return [...hash]
}

it('reads records as the engine does', () => {
  const seen = { good: 0, dead: 0 }
  const cases = eventSpec.chain(spec =>
    fc.tuple(fc.constant(spec), fc.array(recordFor(spec), { minLength: 1, maxLength: 5 })),
  )
  check(
    fc.property(cases, ([spec, records]) => {
      const [engine, verifier] = [readByEngine(spec), readByVerifier(spec)]
      for (const record of records) {
        const expected = engine(record)
        expect(verifier(record), record.toString('latin1')).toEqual(expected)
        seen['reason' in expected ? 'dead' : 'good']++
      }
    }),
    { numRuns: 800 },
  )
  expect(Math.min(seen.good, seen.dead)).toBeGreaterThan(100)
})
