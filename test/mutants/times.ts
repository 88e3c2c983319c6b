/** Faults in which event times are allowed, and in how a sink shows times outside of them. */
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
]
