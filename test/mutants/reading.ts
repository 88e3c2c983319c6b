/** Faults to plant in how the engine and the verifier read events: both must give the same verdicts as before an upgrade. */
import type { Mutant } from './engine.ts'

const FIELD = 'test/field/field.test.ts'

export const READING_MUTANTS: Mutant[] = [
  {
    name: 'a fast path that rounds ties up instead of half-even',
    file: 'processor/core/decode/scan/plain-number.ts',
    find: '(isTie ? value % 2 === 1 : next >= 5)',
    plant: 'next >= 5',
    test: 'test/processor/core/decode/number.test.ts',
    turnsRed: 'rounds 0.005 at scale 2 half-even',
  },
  {
    name: 'amounts are rounded without the option',
    file: 'pipeline/compiled-spec.ts',
    find: "const rounds = rounding === 'half-even'",
    plant: 'const rounds = true',
    test: FIELD,
    turnsRed: 'makes amounts from binary floats dead letters without the option',
  },
  {
    name: 'ids such as 17850.0 are accepted without the option',
    file: 'processor/core/decode/parse/parser.ts',
    find: 'shape.integralIds === true',
    plant: 'shape.integralIds !== false',
    test: FIELD,
    turnsRed: 'makes blanks and ids such as 17850.0 dead letters',
  },
  {
    name: 'the default format changes the identity of stored aggregations',
    file: 'pipeline/identity.ts',
    find: "format ?? (time.formats ? undefined : 'rfc3339')",
    plant: 'format',
    test: 'test/pipeline/identity.test.ts',
    turnsRed: 'keeps both identities with',
  },
  {
    name: 'loose times are read without the option',
    file: 'pipeline/time-forms.ts',
    find: 'FORMS: Record<string, Form> = { rfc3339: RFC3339,',
    plant: 'FORMS: Record<string, Form> = { rfc3339: ISO8601,',
    test: FIELD,
    turnsRed: 'makes times dead letters where their meaning is open',
  },
  {
    name: 'an event time far behind its record is not noticed',
    file: 'processor/core/partition.ts',
    find: 'if (decoder.time < cursor.timestamp - this.#compiled.spec.watermark.maxPastSkew)',
    plant: 'if (decoder.time < Number.NEGATIVE_INFINITY)',
    test: FIELD,
    turnsRed: 'counts seconds that are read as milliseconds',
  },
]
