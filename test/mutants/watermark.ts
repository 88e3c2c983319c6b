import type { Mutant } from './engine.ts'

const FAR_AHEAD = 'test/processor/far-ahead.test.ts'
const SOURCES = 'test/processor/core/sources.test.ts'
const REACH = 'test/pipeline/future-reach.test.ts'

/** Faults in what protects the watermark from clocks that are ahead. */
export const WATERMARK_MUTANTS: Mutant[] = [
  {
    name: 'the default of outOfOrderness covers only one of two wrong clocks',
    file: 'pipeline/limits.ts',
    find: "DEFAULT_OUT_OF_ORDERNESS = '1m'",
    plant: "DEFAULT_OUT_OF_ORDERNESS = '30s'",
    test: REACH,
    turnsRed: 'counts no event as late with default settings',
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
    file: 'processor/core/lines.ts',
    find: 'if (isLate && this.#isInTime(decoder.time, cursor.timestamp, a)) lateInTime = true',
    plant: 'if (isLate) lateInTime = true',
    test: FAR_AHEAD,
    turnsRed: 'about sales that arrive long after their event time',
  },
  {
    name: 'a watermark with which many records agree is reported as far ahead',
    file: 'processor/far-ahead.ts',
    find: ' && agreeing <= (agreeing + late) * MAX_AGREEING_SHARE',
    plant: '',
    test: FAR_AHEAD,
    turnsRed: 'reports no WatermarkFarAhead when most records agree with the watermark',
  },
  {
    name: 'a source that is ahead twice counts as two',
    file: 'processor/core/sources.ts',
    find: 'if (known) known[1] = Math.max(known[1], eventTime)',
    plant: 'if (!known && false) known![1] = Math.max(known![1], eventTime)',
    test: SOURCES,
    turnsRed: 'as the atLeast-th greatest',
  },
  {
    name: 'sources of records that a release without them counted are continued',
    file: 'processor/core/sources.ts',
    find: 'state?.offset === offset && state.field === field',
    plant: 'state?.field === field',
    test: SOURCES,
    turnsRed: 'forgets the agreed event time with another setting',
  },
  {
    name: 'a new owner of a partition forgets its sources',
    file: 'processor/adapters/memory/database.ts',
    find: '    maxEventTime,\n    sources,\n',
    plant: '    maxEventTime,\n    sources: null,\n',
    test: 'test/simulator/simulator.test.ts',
    turnsRed: 'keeps the contract',
  },
  {
    name: 'PostgreSQL does not return the sources with a claim',
    file: 'processor/adapters/postgres/claim.ts',
    find: 'sources: row.sources',
    plant: 'sources: null',
    test: 'test/processor/store/postgres.test.ts',
    turnsRed: 'inspects the progress of partitions in their order',
  },
  {
    name: 'the pipeline watermark does not wait for several sources',
    file: 'processor/adapters/postgres/statements.ts',
    find: 'CASE WHEN $4::boolean THEN agreed_time ELSE max_event_time END AS time',
    plant: 'CASE WHEN $4::boolean AND false THEN agreed_time ELSE max_event_time END AS time',
    test: 'test/processor/store/postgres.test.ts',
    turnsRed: 'follows the event times that several sources have reached',
  },
  {
    name: 'the verifier ignores a change of the sources',
    file: 'verify/recompute.ts',
    find: 'return isSame ? before : new Agreement(sources)',
    plant: 'return before ?? new Agreement(sources)',
    test: 'test/verify/sources.test.ts',
    turnsRed: 'make the same events late for the engine and for the verifier',
  },
]
