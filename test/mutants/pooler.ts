/** Faults behind a connection pooler, where a connection has no state. */
import type { Mutant } from './engine.ts'

const SESSIONS = 'test/processor/store/postgres-sessions.test.ts'
const FAULTS = 'test/processor/store/postgres-faults.test.ts'

export const POOLER_MUTANTS: Mutant[] = [
  {
    name: 'transactions without a time-out for locks',
    file: 'processor/adapters/postgres/transaction.ts',
    find: 'lock_timeout: timeouts.lock,',
    plant: '',
    test: SESSIONS,
    turnsRed: 'sends every statement in a transaction with our settings',
  },
  {
    name: 'a confirmation of the outbox without a fence',
    file: 'processor/adapters/postgres/outbox-lease.ts',
    find: 'WHERE token = $1 RETURNING 1)',
    plant: 'RETURNING $1)',
    test: FAULTS,
    turnsRed: 'confirms nothing after a failover that lost the take',
  },
  {
    name: 'a lease on the outbox that nobody renews',
    file: 'processor/adapters/postgres/outbox-lease.ts',
    find: 'if (taken) this.#keepRenewing(token)',
    plant: '',
    test: FAULTS,
    turnsRed: 'takes over the projection of a worker that is cut off',
  },
  {
    name: 'a read outside of a transaction',
    file: 'processor/adapters/postgres/connections.ts',
    find: 'sendTransaction(session, this.begin(options), queries)',
    plant: 'Promise.all(queries.map(query => session.query(query)))',
    test: SESSIONS,
    turnsRed: 'sends every statement in a transaction with our settings',
  },
  {
    name: 'a pooler in statement mode is taken for a server that does not respond',
    file: 'processor/adapters/postgres/pooler.ts',
    find: 'if (STATEMENT_MODE.test(message))',
    plant: 'if (false)',
    test: 'test/processor/store/pooler-errors.test.ts',
    turnsRed: 'statement pooling mode',
  },
]
