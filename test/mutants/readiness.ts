/** Faults planted in what decides whether a pipeline is ready, and what its conditions name as the cause. */
import type { Mutant } from './engine.ts'

const STATUS = 'test/operator/status.test.ts'

export const READINESS_MUTANTS: Mutant[] = [
  {
    name: 'the root cause is what is reported first',
    file: 'pipeline/conditions.ts',
    find: 'causeRank(a.reason) - causeRank(b.reason) || ',
    plant: '',
    test: STATUS,
    turnsRed: 'shows the same root cause for any set of conditions, whichever worker reports them first',
  },
  {
    name: 'PostgreSQL down shown as a projection that is behind',
    file: 'processor/adapters/postgres/errors.ts',
    find: "condition: 'StoreUnavailable', cause",
    plant: 'cause',
    test: 'test/processor/store/pooler-errors.test.ts',
    turnsRed: 'names PostgreSQL as the cause',
  },
  {
    name: 'PostgreSQL down without sales reported by nobody',
    file: 'processor/upkeep.ts',
    find: 'this.#reportFailure(error)',
    plant: '',
    test: 'test/processor/upkeep-store.test.ts',
    turnsRed: 'reports PostgreSQL as unavailable while no sale arrives',
  },
  {
    name: 'lack of memory named by the last log line',
    file: 'operator/observe/crash.ts',
    find: "if (isOutOfMemory(ended)) return { reason: 'WorkerOutOfMemory', text: outOfMemory(crash) }",
    plant: '',
    test: STATUS,
    turnsRed: 'is found in their status',
  },
  {
    name: 'a warning in the last log line taken for the cause of a crash',
    file: 'operator/observe/crash.ts',
    find: 'level !== undefined && HARMLESS.includes(level)',
    plant: 'level === null',
    test: STATUS,
    turnsRed: 'is found in their status',
  },
  {
    name: 'refused pods unnoticed',
    file: 'operator/observe/refusals.ts',
    find: "type === 'ReplicaFailure' && status === 'True'",
    plant: "type === 'ReplicaFailure' && status === 'Never'",
    test: STATUS,
    turnsRed: 'are named with what to do',
  },
]
