import type { Mutant } from './engine.ts'

const FAR_AHEAD = 'test/processor/far-ahead.test.ts'
const REACH = 'test/pipeline/future-reach.test.ts'

/** Faults in what protects the watermark from clocks that are ahead. */
export const WATERMARK_MUTANTS: Mutant[] = [
  {
    name: 'the default of outOfOrderness covers only one of two wrong clocks',
    file: 'pipeline/limits.ts',
    find: "DEFAULT_OUT_OF_ORDERNESS = '1m'",
    plant: "DEFAULT_OUT_OF_ORDERNESS = '30s'",
    test: REACH,
    turnsRed: 'is never late with the default settings',
  },
  {
    name: 'an upgrade gives a running pipeline the new defaults',
    file: 'pipeline/former-defaults.ts',
    find: '!(setting in given) && stored?.[setting] === FORMER[setting]',
    plant: 'setting in given',
    test: REACH,
    turnsRed: 'keeps the defaults that its document leaves out',
  },
  {
    name: 'the verifier judges a pipeline of release 0.3.0 by the new defaults',
    file: 'verify/spec.ts',
    find: 'if (before.outOfOrderness === 5000) watermark.outOfOrderness ??= 5000',
    plant: '',
    test: 'test/verify/spec.test.ts',
    turnsRed: 'keeps the defaults of release 0.3.0',
  },
  {
    name: 'events that arrive long after their event time count as events in time',
    file: 'processor/core/partition.ts',
    find: 'else if (this.#isInTime(decoder.time, cursor.timestamp, a)) lateInTime = true',
    plant: 'else lateInTime = true',
    test: FAR_AHEAD,
    turnsRed: 'about sales that arrive long after their event time',
  },
  {
    name: 'a watermark with which many records agree is reported as far ahead',
    file: 'processor/far-ahead.ts',
    find: ' && agreeing <= (agreeing + late) * MAX_AGREEING_SHARE',
    plant: '',
    test: FAR_AHEAD,
    turnsRed: 'is silent when most records agree with the watermark',
  },
]
