/** An aggregation that is added to a running pipeline marks the windows that lack its earlier records (section 5). */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { parseDocument } from 'yaml'
import { until } from '#test/support/until.ts'
import { expectExact } from './exact.ts'
import { Rig, type Worker } from './rig.ts'
import { PARTITIONS } from './spec.ts'

let rig: Rig

beforeAll(async () => {
  rig = await Rig.start('added', { elasticsearch: true })
})
afterAll(() => rig.stop())

const ADDED = { name: 'counted', measures: [{ name: 'orders', op: 'count' }] }

/** Returns the spec with another aggregation, which is projected. */
function withAdded(): string {
  const document = parseDocument(rig.specText)
  document.addIn(['spec', 'aggregations'], ADDED)
  document.addIn(['spec', 'sinks', 'elasticsearch', 'projections'], { aggregation: 'counted', index: 'counted' })
  return String(document)
}

/** Resolves once the worker has claimed every partition under a generation of the spec. */
async function claimed(specText: string, generation: number): Promise<Worker> {
  const worker = await rig.startWorker(specText)
  const owned = `SELECT FROM added.progress WHERE generation = ${generation}`
  await until('every partition is claimed', async () => {
    const rows = await rig.query(owned).catch(() => [])
    return rows.length === PARTITIONS
  })
  return worker
}

async function stopped(worker: Worker): Promise<void> {
  worker.process.kill('SIGTERM')
  expect(await worker.exited).toBe(0)
}

/** Resolves once the aggregation has more rows than before. */
const counts = (table: string, more: number) =>
  until(
    `the table ${table} has ${more} rows`,
    async () => (await rig.query(`SELECT FROM added.${table} LIMIT ${more}`)).length === more,
    60_000,
  )

it('marks the first windows of an added aggregation and no later ones, and the verdict is exact', async () => {
  const first = await claimed(rig.specText, 1)
  const load = rig.load(150, 25, 1)
  await counts('sales_summary', 10)
  await stopped(first)
  const second = await claimed(withAdded(), 2)
  await load
  await rig.drained()
  const [{ last } = { last: null }] = await rig.query<{ last: Date | null }>(
    'SELECT max(window_start) AS last FROM added.counted WHERE partial',
  )
  const rows = await rig.query<{ partial: boolean; window_start: Date }>(
    'SELECT window_start, partial FROM added.counted ORDER BY window_start',
  )
  expect(rows.some(({ partial }) => partial)).toBe(true)
  expect(rows.some(({ partial }) => !partial)).toBe(true)
  expect(rows.every(({ partial, window_start }) => partial === window_start <= last!)).toBe(true)
  expect(await rig.query('SELECT FROM added.sales_summary WHERE partial')).toEqual([])
  const { url } = rig.servers.elasticsearch!
  const count = async (partial: boolean) => {
    const response = await fetch(`${url}/counted/_count?q=partial:${partial}`)
    return ((await response.json()) as { count: number }).count
  }
  const specText = withAdded()
  expectExact(await rig.verdict({ specText }))
  expect([await count(true), await count(false)]).toEqual(
    [true, false].map(is => rows.filter(r => r.partial === is).length),
  )
  await stopped(second)
}, 180_000)

it('marks the windows in which an aggregation was removed, after it is added again', async () => {
  const marked = async () =>
    (await rig.query<{ count: number }>('SELECT count(*)::int AS count FROM added.counted WHERE partial'))[0]!.count
  const before = await marked()
  const removed = await claimed(rig.specText, 3)
  const load = rig.load(150, 25, 2)
  const rows = (await rig.query('SELECT FROM added.sales_summary')).length
  await counts('sales_summary', rows + 10)
  await stopped(removed)
  const again = await claimed(withAdded(), 4)
  await load
  await rig.drained()
  expectExact(await rig.verdict({ specText: withAdded() }))
  expect(await marked()).toBeGreaterThan(before)
  await stopped(again)
}, 180_000)
