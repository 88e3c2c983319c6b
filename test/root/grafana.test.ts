/**
 * Runs every query of the dashboards on a real Prometheus and a real PostgreSQL that a real run has filled: Kafka,
 * workers, projection, load, REST ingest, and an operator on a real API server. Grafana itself does not run here.
 */
import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { dashboardOf, interpolated, panelsOf, queryOf, type Target } from '../grafana/dashboards.ts'
import { commandsIn, OPERATIONS, statementsIn } from '../grafana/operations.ts'
import { describeWithApiServer } from '../support/api-server.ts'
import { until } from '../support/until.ts'
import { SCHEMA_OF_SALES, type Stage, startStage } from './grafana-stage.ts'

const PIPELINE = { namespace: 'default', pipeline: 'default/board', __rate_interval: '15s' }

/** Queries whose result may be empty in a run without faults → the reason. They must still succeed. */
const MAY_BE_EMPTY: Record<string, string> = {
  'Time to catch up: until the lag is 0': 'the lag may be 0 when it is queried',
  'Requests by status code: throttled {{client}}': 'no client has a limit',
  'Memory: limit': 'this machine has no memory limit for processes',
  'Changes of the worker count, restarts of watches: scaled {{direction}}':
    'nothing is scaled: this operator has no pods',
  'Changes of the worker count, restarts of watches: {{kind}}: {{why}}': 'the API server closes no watch',
}

type Row = { metric: Record<string, string>; value?: [number, string]; values?: [number, string][] }

describeWithApiServer('dashboards', () => {
  let stage: Stage
  beforeAll(async () => {
    stage = await startStage()
  }, 1_200_000)
  afterAll(() => stage?.stop())

  async function ask(path: string, parameters: Record<string, string>) {
    const answer = await fetch(`${stage.prometheus.url}/api/v1/${path}?${new URLSearchParams(parameters)}`)
    const body = (await answer.json()) as { status: string; error?: string; data: { result: Row[] } }
    return { status: body.status, error: body.error, data: body.data }
  }

  /** Queries as Grafana does: at the end of its time range, or over all of it. */
  function rows({ expr, instant }: Target) {
    const query = interpolated(expr!, PIPELINE)
    const end = String(stage.endedAt / 1000)
    if (instant) return ask('query', { query, time: end })
    return ask('query_range', { query, start: String(stage.startedAt / 1000), end, step: '2' })
  }

  const figures = (found: Row[]) =>
    found.flatMap(({ value, values }) => [...(value ? [value] : []), ...(values ?? [])]).map(([, text]) => Number(text))

  const targets = panelsOf('pipeline.json').flatMap(({ title, targets = [] }) =>
    targets.map(target => ({ name: `${title}: ${target.legendFormat || 'table'}`, target })),
  )

  it.each(targets)('returns figures for pipeline › $name', async ({ name, target }) => {
    const { status, error, data } = await rows(target)
    expect({ name, status, error }).toEqual({ name, status: 'success', error: undefined })
    if (name in MAY_BE_EMPTY) return
    const known = figures(data.result).filter(Number.isFinite)
    expect(known.length, `${name}: ${target.expr}`).toBeGreaterThan(0)
  })

  it('finds every query that may be empty in the dashboard', () => {
    expect(Object.keys(MAY_BE_EMPTY).filter(name => !targets.some(target => target.name === name))).toEqual([])
  })

  it('shows the figures of the run in pipeline.json', async () => {
    const [{ records } = { records: 0 }] = await stage.rig.query<{ records: number }>(
      `SELECT sum(records)::int AS records FROM ${stage.rig.schema}.progress`,
    )
    const query = 'sum(salespipeline_records_total{pipeline="default/board"})'
    const { data } = await ask('query', { query, time: String(stage.endedAt / 1000) })
    expect(figures(data.result)).toEqual([records])
    expect(records).toBeGreaterThan(5000)
    const ready = await ask('query', {
      query: interpolated('salespipeline_operator_ready{pipeline="$pipeline"}', PIPELINE),
    })
    expect(ready.data.result[0]!.metric).toMatchObject({ pipeline: 'default/board', reason: 'WorkersStarting' })
  })

  it('finds the namespace and the pipeline by the variables of pipeline.json', async () => {
    for (const variable of dashboardOf('pipeline.json').templating.list.filter(({ type }) => type === 'query')) {
      const [, match, label] = /^label_values\((.*), (\w+)\)$/.exec(interpolated(queryOf(variable), PIPELINE))!
      const answer = await fetch(
        `${stage.prometheus.url}/api/v1/label/${label}/values?${new URLSearchParams({ 'match[]': match! })}`,
      )
      const { data } = (await answer.json()) as { data: string[] }
      const [, pattern] = /^\/(.*)\/$/.exec(variable.regex ?? '') ?? []
      const chosen = pattern ? data.map(text => new RegExp(pattern).exec(text)![1]!) : data
      expect(chosen, variable.name).toContain(PIPELINE[variable.name as 'namespace'])
    }
  })

  it('loads the alert rules and evaluates each without an error', async () => {
    type Rules = { data: { groups: { rules: { name: string; health: string; lastError?: string }[] }[] } }
    const evaluated = await until('all rules are evaluated', async () => {
      const { data } = (await (await fetch(`${stage.prometheus.url}/api/v1/rules`)).json()) as Rules
      const rules = data.groups.flatMap(group => group.rules)
      return rules.every(({ health }) => health !== 'unknown') && rules
    })
    expect(evaluated.length).toBeGreaterThan(20)
    expect(evaluated.filter(({ health }) => health !== 'ok')).toEqual([])
  })

  async function sql(text: string, step = 'day'): Promise<Record<string, unknown>[]> {
    const client = new pg.Client(stage.salesDatabase)
    await client.connect()
    try {
      // Grafana's macro, over the range that the dashboard opens with.
      const filtered = text.replace(
        /\$__timeFilter\((\w+)\)/g,
        "$1 BETWEEN now() - interval '1 year' AND now() + interval '1 year'",
      )
      return (await client.query(interpolated(filtered, { schema: SCHEMA_OF_SALES, step }))).rows
    } finally {
      await client.end()
    }
  }
  const salesOf = (title: string, step?: string) =>
    sql(panelsOf('sales.json').find(panel => panel.title === title)!.targets![0]!.rawSql!, step)

  it.each(panelsOf('sales.json').map(({ title }) => title))('returns rows for sales › %s', async title => {
    expect((await salesOf(title)).length).toBeGreaterThan(0)
  })

  it('shows the figures of the stored sales in sales.json', async () => {
    const raw =
      await sql(`SELECT sum(value)::float8 AS total, count(*)::int AS n, count(DISTINCT product)::int AS products,
      count(DISTINCT location)::int AS places FROM $schema.sales`)
    const [{ total, n, products, places }] = raw as [{ total: number; n: number; products: number; places: number }]
    expect(n).toBe(stage.sales)
    expect(await salesOf('Total sales')).toEqual([{ total: expect.closeTo(total, 2) }])
    expect(await salesOf('Transactions')).toEqual([{ transactions: String(n) }])
    expect(await salesOf('Average sale')).toEqual([{ average: expect.closeTo(total / n, 2) }])
    const sum = (found: Record<string, unknown>[], column: string) =>
      found.reduce((all, row) => all + Number(row[column]), 0)
    for (const title of ['Shares by product', 'Sales by product']) {
      const found = await salesOf(title)
      expect(found).toHaveLength(products)
      expect(sum(found, 'total sales')).toBeCloseTo(total, 2)
    }
    const map = await salesOf('Where sales happen')
    expect(map).toHaveLength(places)
    expect(sum(map, 'total_sales')).toBeCloseTo(total, 2)
    expect(map.find(({ location }) => location === 'Manaus')).toMatchObject({
      latitude: -3.119028,
      longitude: -60.021731,
    })
    const lengths = []
    for (const step of ['day', 'week', 'month']) {
      const line = await salesOf('Sales over time', step)
      expect(sum(line, 'total sales')).toBeCloseTo(total, 2)
      lengths.push(line.length)
    }
    expect(lengths[0]).toBeGreaterThan(lengths[1]!)
    expect(lengths[1]).toBeGreaterThan(lengths[2]!)
  })

  it.each(commandsIn(OPERATIONS).filter(command => statementsIn(command).length > 0))(
    'runs the SQL of the runbook: %s',
    async command => {
      const client = new pg.Client(stage.rig.database)
      await client.connect()
      try {
        // No server process has the id 0: PostgreSQL then only warns.
        const values = { SCHEMA: stage.rig.schema, BLOCKER: '0' }
        for (const statement of statementsIn(command, values)) await client.query(statement)
      } finally {
        await client.end()
      }
    },
  )

  it('finds the schema by the variable of sales.json', async () => {
    const variable = dashboardOf('sales.json').templating.list.find(({ name }) => name === 'schema')!
    expect(await sql(queryOf(variable))).toEqual([{ quote_ident: SCHEMA_OF_SALES }])
  })
})
