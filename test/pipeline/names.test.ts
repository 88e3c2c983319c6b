/** Tests that no table of a document can have the name of a table of the engine. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { PROTOTYPE, RESERVED_TABLES } from '#pipeline/names.ts'

const MIGRATIONS = join(import.meta.dirname, '../../processor/adapters/postgres/sql')

it('reserves the name of every table that a migration creates', () => {
  const statements = readdirSync(MIGRATIONS).map(name => readFileSync(join(MIGRATIONS, name), 'utf8'))
  const created = statements.flatMap(sql => [...sql.matchAll(/^CREATE TABLE (\w+)/gm)].map(([, table]) => table!))
  expect(created.length).toBeGreaterThan(10)
  // processor/adapters/postgres/schema.ts creates the table that lists the applied migrations.
  // test/processor/store/postgres-names.test.ts finds the names that PostgreSQL gives to indexes and sequences.
  const isNamedByPostgres = (name: string) => /_(pkey|seq)$/.test(name) || name === 'pipeline_is_one_row'
  const tables = RESERVED_TABLES.filter(name => !isNamedByPostgres(name))
  expect(tables).toEqual([PROTOTYPE, ...[...created, 'migrations'].sort()])
})
