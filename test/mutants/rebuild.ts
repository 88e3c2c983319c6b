/** Faults in noticing that a sink has lost documents, and in writing them again (contract, section 4). */
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: `find` and `plant` are pieces of source text.
import type { Mutant } from './engine.ts'

const POSTGRES = 'test/processor/store/postgres.test.ts'
const STATEMENTS = 'processor/adapters/postgres/aggregate-statements.ts'
const REBUILDS = 'rebuilds a projection: enqueues all rows once'

export const REBUILD_MUTANTS: Mutant[] = [
  {
    name: 'a worker that never checks whether the sink has lost documents',
    file: 'processor/rebuilds.ts',
    find: 'await this.#check()',
    plant: '',
    test: 'test/processor/projection/rebuilds.test.ts',
    turnsRed: 'writes all rows again with new versions',
  },
  {
    name: 'rebuild that misses rows',
    file: STATEMENTS,
    find: 'FROM ${table} ORDER BY ${list(key)} FOR UPDATE',
    plant: 'FROM ${table} ORDER BY ${list(key)} LIMIT 2 FOR UPDATE',
    test: POSTGRES,
    turnsRed: REBUILDS,
  },
  {
    name: 'rebuild under the versions at which the documents were deleted',
    file: STATEMENTS,
    find: 'AS t SET version = GREATEST(t.version + 1, ${CLOCK_MICROS})',
    plant: 'AS t SET version = t.version',
    test: POSTGRES,
    turnsRed: REBUILDS,
  },
  {
    name: 'rows that are not written yet count as lost',
    file: 'processor/adapters/postgres/outbox-statements.ts',
    find: 'WHERE o.aggregation = e.name AND each.k = e.k',
    plant: 'WHERE o.aggregation = e.name AND false',
    test: POSTGRES,
    turnsRed: 'samples the rows that the sink must have',
  },
  {
    name: 'check by every worker',
    file: 'processor/rebuilds.ts',
    find: 'if (!(await outbox.beginCheck(CHECK_EVERY_MS))) return',
    plant: '',
    test: 'test/processor/projection/rebuilds.test.ts',
    turnsRed: 'leaves the check to one worker',
  },
]
