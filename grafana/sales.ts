/** Dashboard of sales by product, place and time, from the PostgreSQL tables that k8s/examples/sales-map.yaml fills. */
import type { Builder, Dataquery } from '@grafana/grafana-foundation-sdk/cog'
import {
  BigValueColorMode,
  BigValueGraphMode,
  FrameGeometrySourceBuilder,
  FrameGeometrySourceMode,
  LegendDisplayMode,
  LegendPlacement,
  MapLayerOptionsBuilder,
  ReduceDataOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common'
import {
  CustomVariableBuilder,
  type Dashboard,
  DashboardBuilder,
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  VariableRefresh,
  VariableSort,
} from '@grafana/grafana-foundation-sdk/dashboard'
import { PanelBuilder as MapBuilder, MapCenterID, MapViewConfigBuilder } from '@grafana/grafana-foundation-sdk/geomap'
import {
  PanelBuilder as PieBuilder,
  PieChartLegendOptionsBuilder,
  PieChartLegendValues,
  PieChartType,
} from '@grafana/grafana-foundation-sdk/piechart'
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat'
import { PanelBuilder as TableBuilder } from '@grafana/grafana-foundation-sdk/table'
import { PanelBuilder as GraphBuilder } from '@grafana/grafana-foundation-sdk/timeseries'
import { type About, datasource, describe, legend } from './panels.ts'

/** Type of Grafana's PostgreSQL data source since it became a plugin. */
const POSTGRES = datasource('grafana-postgresql-datasource')

/** Schema of the chosen pipeline; PostgreSQL returns the name quoted. */
const TABLES = '$schema'

type SqlQuery = Dataquery & {
  refId: string
  datasource: typeof POSTGRES
  format: 'table' | 'time_series'
  rawQuery: true
  editorMode: 'code'
  rawSql: string
}

/** The SDK has no SQL query, but accepts custom queries. `build` returns what Grafana stores. */
class Sql implements Builder<Dataquery> {
  readonly #rawSql: string
  readonly #format: SqlQuery['format']
  constructor(rawSql: string, format: SqlQuery['format'] = 'table') {
    this.#rawSql = rawSql
    this.#format = format
  }

  build(): SqlQuery {
    const query = { refId: 'A', datasource: POSTGRES, format: this.#format, rawSql: this.#rawSql }
    return { ...query, rawQuery: true, editorMode: 'code', _implementsDataqueryVariant() {} }
  }
}

const about = (title: string, description: string, unit: string): About => ({ title, description, unit })

const card = (title: string, description: string, unit: string, figure: string) =>
  describe(new StatBuilder(), about(title, description, unit), POSTGRES)
    .withTarget(new Sql(`SELECT ${figure} FROM ${TABLES}.sales_by_product`))
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull']).fields('/.*/'))
    .colorMode(BigValueColorMode.Value)
    .graphMode(BigValueGraphMode.None)
    .noValue('0')
    .height(4)
    .span(8)

const CARDS = [
  card('Total sales', 'Sum over all products and days.', 'currencyBRL', 'sum(total_sales)::float8 AS total'),
  card('Transactions', 'Number of sales; each is counted once.', 'none', 'sum(transactions)::bigint AS transactions'),
  card(
    'Average sale',
    'Total sales divided by the number of transactions.',
    'currencyBRL',
    '(sum(total_sales) / nullif(sum(transactions), 0))::float8 AS average',
  ),
]

const MAP = describe(
  new MapBuilder(),
  about('Where sales happen', 'Sales by place: a larger dot means more sales.', 'currencyBRL'),
  POSTGRES,
)
  .withTarget(
    // Only the raw table has coordinates; all sales of a place have the same ones.
    new Sql(
      `SELECT t.location, s.latitude::float8, s.longitude::float8, t.total_sales, t.transactions
FROM (SELECT location, sum(total_sales)::float8 AS total_sales, sum(transactions)::bigint AS transactions
      FROM ${TABLES}.sales_by_location GROUP BY location) t
JOIN LATERAL (SELECT latitude, longitude FROM ${TABLES}.sales
      WHERE location = t.location AND latitude IS NOT NULL AND longitude IS NOT NULL LIMIT 1) s ON true
ORDER BY t.total_sales DESC`,
    ),
  )
  .view(new MapViewConfigBuilder().id(MapCenterID.Fit).zoom(4).allLayers(true))
  .layers([
    new MapLayerOptionsBuilder()
      .type('markers')
      .name('Sales')
      .location(
        new FrameGeometrySourceBuilder()
          .mode(FrameGeometrySourceMode.Coords)
          .latitude('latitude')
          .longitude('longitude'),
      )
      .config({
        showLegend: false,
        style: {
          size: { field: 'total_sales', min: 8, max: 40 },
          color: { fixed: 'orange' },
          opacity: 0.6,
          text: { field: 'location', mode: 'field' },
        },
      })
      .tooltip(true),
  ])
  .gridPos({ x: 0, y: 4, w: 12, h: 16 })

const BY_PRODUCT = `SELECT product, sum(total_sales)::float8 AS "total sales", sum(transactions)::bigint AS transactions
FROM ${TABLES}.sales_by_product GROUP BY product ORDER BY 2 DESC`

const SHARES = describe(
  new PieBuilder(),
  about('Shares by product', 'Share of each product in the total sales.', 'currencyBRL'),
  POSTGRES,
)
  .withTarget(new Sql(BY_PRODUCT))
  .pieType(PieChartType.Donut)
  .reduceOptions(new ReduceDataOptionsBuilder().values(true).calcs([]).fields('total sales'))
  .legend(
    new PieChartLegendOptionsBuilder()
      .displayMode(LegendDisplayMode.Table)
      .placement(LegendPlacement.Right)
      .showLegend(true)
      .values([PieChartLegendValues.Percent]),
  )
  .gridPos({ x: 12, y: 4, w: 12, h: 8 })

const PRODUCTS = describe(
  new TableBuilder(),
  about('Sales by product', 'Best seller first. Amounts are exact in PostgreSQL and rounded here.', 'none'),
  POSTGRES,
)
  .withTarget(new Sql(BY_PRODUCT))
  .overrideByName('total sales', [{ id: 'unit', value: 'currencyBRL' }])
  .gridPos({ x: 12, y: 12, w: 12, h: 8 })

const LINE = describe(
  new GraphBuilder(),
  about(
    'Sales over time',
    'Sales per time step. Choose the step at the top of the dashboard. The newest step is not complete yet. Set the time range to days with data.',
    'currencyBRL',
  ),
  POSTGRES,
)
  .withTarget(
    new Sql(
      // Days in this table begin at 03:00 UTC, so truncating in UTC keeps each day in its month.
      `SELECT date_trunc('$step', window_start, 'UTC') AS time, sum(total_sales)::float8 AS "total sales"
FROM ${TABLES}.sales_by_day WHERE $__timeFilter(window_start) GROUP BY 1 ORDER BY 1`,
      'time_series',
    ),
  )
  .fillOpacity(12)
  .legend(legend())
  .min(0)
  .gridPos({ x: 0, y: 20, w: 24, h: 8 })

export function salesDashboard(): Dashboard {
  const schemas = `SELECT quote_ident(schemaname) FROM pg_tables
WHERE tablename IN ('sales', 'sales_by_product', 'sales_by_location', 'sales_by_day')
  AND has_schema_privilege(schemaname, 'USAGE')
GROUP BY schemaname HAVING count(*) = 4 ORDER BY 1`
  const dashboard = new DashboardBuilder('Sales')
    .uid('salespipeline-sales')
    .description('Sales by product, place and time (for pipelines like k8s/examples/sales-map.yaml)')
    .tags(['salespipeline'])
    .refresh('5s')
    // In the example, days pass in minutes, so event times are soon ahead of the clock.
    .time({ from: 'now-1y', to: 'now+1y' })
    .timezone('browser')
    .withVariable(new DatasourceVariableBuilder('datasource').label('PostgreSQL').type(POSTGRES.type!))
    .withVariable(
      new QueryVariableBuilder('schema')
        .label('Schema')
        .datasource(POSTGRES)
        .query(schemas)
        .definition(schemas)
        .refresh(VariableRefresh.OnDashboardLoad)
        .sort(VariableSort.AlphabeticalAsc),
    )
    .withVariable(
      new CustomVariableBuilder('step')
        .label('Step')
        .values('day,week,month')
        .current({ selected: true, text: 'day', value: 'day' }),
    )
  for (const panel of [...CARDS, MAP, SHARES, PRODUCTS, LINE]) dashboard.withPanel(panel)
  return dashboard.build()
}
