/**
 * Runs each panel's search, derived from the saved object, on the documents of a real run with every kind of fault, and
 * compares it with SQL over the rows. Kibana is not available to tests: that it derives these searches from these
 * objects is documented, but not proved here.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Rig } from '#test/integrity/rig.ts'
import { rowsOf, searchOf } from './lens-query.ts'
import { dashboardOf, type Panel, readSavedObjects } from './saved-objects.ts'

/** Panel → SQL for the same figures: buckets first, then the figure. */
const SQL: Record<string, string> = {
  'Total revenue': 'SELECT sum(revenue) AS figure FROM sales_summary',
  Orders: 'SELECT sum(orders) AS figure FROM sales_summary',
  'Revenue by category':
    'SELECT category, sum(revenue) AS figure FROM sales_summary GROUP BY category ORDER BY figure DESC',
  'Sales by payment method':
    'SELECT payment_method, sum(revenue) AS figure FROM sales_by_payment GROUP BY payment_method ORDER BY figure DESC',
  'Sales over time': `
    SELECT category, extract(epoch FROM date_trunc('minute', window_start)) * 1000 AS minute, sum(revenue) AS figure
    FROM sales_summary GROUP BY category, minute ORDER BY sum(sum(revenue)) OVER (PARTITION BY category) DESC, minute`,
}

const objects = readSavedObjects()
const { panelsJSON: panels } = dashboardOf(objects)
let rig: Rig

beforeAll(async () => {
  rig = await Rig.start('kibana', { elasticsearch: true })
  await rig.startWorker()
  await rig.load(200, 8, 11)
  await rig.drained()
  await fetch(`${rig.servers.elasticsearch!.url}/transactions-*/_refresh`, { method: 'POST' })
})
afterAll(() => rig?.stop())

describe('the dashboard’s panels, on what a run left in Elasticsearch', () => {
  it('compares every panel of the dashboard', () => {
    expect(panels.map(({ title }) => title)).toEqual(Object.keys(SQL))
  })

  for (const panel of panels)
    it(`shows the figures of PostgreSQL in panel ${panel.title}`, async () => {
      const [shown, stored] = [await search(panel), await rowsInPostgres(SQL[panel.title]!)]
      expect(stored.length).toBeGreaterThan(0)
      expect(stored.at(-1)!.at(-1)).toBeGreaterThan(0)
      expect(shown).toEqual(stored)
    })

  it('counts orders twice without the panel’s query, because both indices hold them', async () => {
    const orders = panels.find(({ title }) => title === 'Orders')!
    const [once] = (await search(orders))[0] as [number]
    const [twice] = (await search(orders, { filtered: false }))[0] as [number]
    expect(once).toBeGreaterThan(0)
    expect(twice).toBe(once * 2)
  })
})

async function search(panel: Panel, options?: { filtered: boolean }): Promise<unknown[][]> {
  const { index, ...body } = searchOf(panel, objects, options)
  const response = await fetch(`${rig.servers.elasticsearch!.url}/${index}/_search`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  const result = await response.json()
  expect(response.status, JSON.stringify(result)).toBe(200)
  return rowsOf(panel, result as Parameters<typeof rowsOf>[1]).map(toCents)
}

async function rowsInPostgres(sql: string): Promise<unknown[][]> {
  const rows = await rig.query(sql.replace('FROM sales_', `FROM ${rig.schema}.sales_`))
  return rows.map(({ figure, minute, ...keys }) =>
    toCents([...Object.values(keys), ...(minute === undefined ? [] : [Number(minute)]), Number(figure)]),
  )
}

/** Rounds the figure as it is displayed, because Elasticsearch sums binary fractions. */
const toCents = (row: unknown[]) => [...row.slice(0, -1), Math.round((row.at(-1) as number) * 100) / 100]
