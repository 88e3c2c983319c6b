import { storeContract } from './contract.ts'
import { freshPostgres } from './postgres-harness.ts'

storeContract('the PostgreSQL store', freshPostgres)
