/** Faults in which event times are allowed, in how a sink shows others, and in what a dead letter says. */
import type { Mutant } from './engine.ts'

export const TIMES_MUTANTS: Mutant[] = [
  {
    name: 'event times before notBefore are counted by the scanner',
    file: 'processor/core/decode/scan/scanner.ts',
    find: 'time >= this.#earliest && time <= this.#latestTime',
    plant: 'time <= this.#latestTime',
    test: 'test/processor/core/decode/decoder.test.ts',
    turnsRed: 'decodes to "bad_time" the time "0001-01-01T00:00:00Z"',
  },
  {
    name: 'notBefore also applies to generations of release 0.3.0',
    file: 'processor/core/decode/time.ts',
    find: 'return notBefore === undefined ? FIRST_EVENT_TIME : Date.parse(notBefore)',
    plant: "return Date.parse(notBefore ?? '1970-01-01T00:00:00Z')",
    test: 'test/field/not-before.test.ts',
    turnsRed: 'is accepted before the upgrade and dead after it, when a worker restores its ids',
  },
  {
    name: 'the verifier applies notBefore to generations of release 0.3.0',
    file: 'verify/spec.ts',
    find: 'notBefore: notBefore === undefined ? null : parseRfc3339(notBefore, null)!',
    plant: "notBefore: parseRfc3339(notBefore ?? '1970-01-01T00:00:00Z', null)!",
    test: 'test/field/not-before.test.ts',
    turnsRed: 'is accepted before the upgrade and dead after it, for the verifier',
  },
  {
    name: 'a time after the year 9999 is text in a document',
    file: 'processor/adapters/projected-row.ts',
    find: 'ms >= FIRST_EVENT_TIME && ms <= LAST_EVENT_TIME ?',
    plant: 'ms >= FIRST_EVENT_TIME ?',
    test: 'test/processor/projection/memory.test.ts',
    turnsRed: 'shows windows that begin before the year 1 and end after the year 9999',
  },
  {
    name: 'a dead letter of a line has no index',
    file: 'processor/core/decode/parse/parser.ts',
    find: 'return this.#namesFields ? path :',
    plant: 'return true ? path :',
    test: 'test/field/dead-letters.test.ts',
    turnsRed: 'names the value at fault by its path, with the index of the line',
  },
  {
    name: 'dead letters of generations of release 0.3.0 change their field',
    file: 'processor/core/decode/parse/parser.ts',
    find: 'this.#namesFields = time.notBefore === undefined',
    plant: 'this.#namesFields = false',
    test: 'test/field/dead-letters.test.ts',
    turnsRed: 'keeps the name of the field in a generation of release 0.3.0',
  },
  {
    name: 'the verifier expects paths in generations of release 0.3.0',
    file: 'verify/spec.ts',
    find: 'namesPaths: notBefore !== undefined',
    plant: 'namesPaths: true',
    test: 'test/field/dead-letters.test.ts',
    turnsRed: 'keeps the name of the field in a generation of release 0.3.0',
  },
  {
    name: 'a dead letter shows values, which may be secret',
    file: 'processor/core/decode/parse/fault-detail.ts',
    find: "if (/\\p{L}/u.test(character)) return 'a'",
    plant: 'if (/\\p{L}/u.test(character)) return character',
    test: 'test/field/dead-letters.test.ts',
    turnsRed: 'describes what is wrong and what to do',
  },
]
