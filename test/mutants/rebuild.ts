/** Faults in noticing that a sink has lost documents, and in writing them again (contract, section 4). */
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: `find` and `plant` are pieces of source text.
import type { Mutant } from './engine.ts'

const POSTGRES = 'test/processor/store/postgres.test.ts'
const STATEMENTS = 'processor/adapters/postgres/aggregate-statements.ts'
const BATCHES = 'test/processor/store/postgres-rebuild.test.ts'
const CONTINUES = 'continues a rebuild where a lost worker stopped'
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
    find: '> (${after})`',
    plant: '> (${after}) AND false`',
    test: BATCHES,
    turnsRed: CONTINUES,
  },
  {
    name: 'rebuild that starts again with every batch',
    file: STATEMENTS,
    find: 'THEN (SELECT k FROM last) END',
    plant: "THEN '[]'::jsonb END",
    test: BATCHES,
    turnsRed: CONTINUES,
  },
  {
    name: 'rebuild that lists all rows before newer changes',
    file: 'processor/adapters/postgres/upkeep.ts',
    find: '|| listing.waiting >= MAX_LISTED',
    plant: '',
    test: BATCHES,
    turnsRed: 'lists no more rows while many wait',
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
