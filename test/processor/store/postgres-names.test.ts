/** Names that a document must not use, compared with a real PostgreSQL, and names that only look dangerous. */
import pg from 'pg'
import { expect } from 'vitest'
import { PARTIAL, PROTOTYPE, RESERVED_COLUMNS, RESERVED_TABLES, SYSTEM_COLUMNS } from '#pipeline/names.ts'
import { parsePipeline } from '#pipeline/parse.ts'
import { ready, TOPIC } from './fixture.ts'
import { freshPostgres, type PostgresHarness } from './postgres-harness.ts'
import { onFresh } from './with-harness.ts'

const test = onFresh(freshPostgres) as (name: string, run: (harness: PostgresHarness) => Promise<void>) => void

const pipelineWith = (fields: string[], aggregations: string) =>
  parsePipeline(`
apiVersion: salespipeline.dev/v1alpha1
kind: SalesPipeline
metadata: { name: sales, namespace: shop }
spec:
  source: { topic: sales }
  event: { time: { path: at }, fields: [${fields.map(name => `{ name: "${name}" }`).join(', ')}] }
  aggregations: [${aggregations}]
`)

test('reserves the name of every table, index and sequence of a schema', async harness => {
  await harness.worker(pipelineWith([], '{ name: own, measures: [{ name: n, op: count }] }')).open(TOPIC)
  const rows = await harness.query<{ name: string }>(
    'SELECT relname AS name FROM pg_class WHERE relnamespace = $1::regnamespace',
    [pg.escapeIdentifier(harness.schema)],
  )
  // A document cannot write a name with a dot.
  const found = rows.map(({ name }) => name).filter(name => name !== 'own' && !name.includes('.'))
  expect([PROTOTYPE, ...found.sort()]).toEqual([...RESERVED_TABLES].sort())
})

test('reserves the columns that every table of PostgreSQL has', async harness => {
  await ready(harness)
  const rows = await harness.query<{ name: string }>(
    `SELECT attname AS name FROM pg_attribute WHERE attnum < 0 AND attrelid = '@totals'::regclass ORDER BY 1`,
  )
  expect(rows.map(({ name }) => name)).toEqual([...SYSTEM_COLUMNS])
})

test('reserves every column that it adds to a result table', async harness => {
  const pipeline = pipelineWith(['own'], '{ name: totals, groupBy: [own], measures: [{ name: n, op: count }] }')
  const { spec } = pipeline
  await harness.worker({ ...pipeline, spec: { ...spec, raw: { table: 'sales_raw' } } }).open(TOPIC)
  const rows = await harness.query<{ name: string }>(
    `SELECT DISTINCT attname AS name FROM pg_attribute
     WHERE attrelid IN ('@totals'::regclass, '@sales_raw'::regclass) AND attname NOT IN ('own', 'n')`,
  )
  expect([PROTOTYPE, ...rows.map(({ name }) => name)].sort()).toEqual([...RESERVED_COLUMNS, PARTIAL].sort())
})

test('accepts every keyword of SQL as a table, a field and a measure', async harness => {
  const rows = await harness.query<{ word: string }>('SELECT word FROM pg_get_keywords() ORDER BY 1')
  const reserved = new Set<string>([...RESERVED_COLUMNS, ...RESERVED_TABLES])
  const words = rows.map(({ word }) => word).filter(word => !reserved.has(word))
  expect(words).toContain('select')
  for (let from = 0; from < words.length; from += 16) {
    const some = words.slice(from, from + 16)
    const measures = some.map(word => `{ name: "${word}", op: count }`).join(', ')
    const keys = some.map(word => `"${word}"`).join(', ')
    const tables = some.map((word, i) =>
      i % 2
        ? `{ name: "${word}", measures: [${measures}] }`
        : `{ name: "${word}", groupBy: [${keys}], measures: [{ name: n_n, op: count }] }`,
    )
    await harness.worker(pipelineWith(some, tables.join(', '))).open(TOPIC)
  }
})
