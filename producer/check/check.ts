/** Sends one sale through the REST ingest and reads it back from every sink of the document. */
import { randomUUID } from 'node:crypto'
import { documentField } from '#pipeline/names.ts'
import type { Projection, SalesPipeline } from '#pipeline/schema.ts'
import { Documents, documentId } from './elasticsearch.ts'
import { checkReady, type Position, send } from './ingest.ts'
import { differences, SAME_FILE, whyNoDocument, whyNoRow } from './judge.ts'
import { Results, type StoredRow } from './postgres.ts'
import { type CheckSale, checkSale, type ExpectedRow } from './sale.ts'
import { type Attempt, CheckFailed, causeOf, type Output, Steps } from './waiting.ts'

export type CheckOptions = {
  pipeline: SalesPipeline
  /** Address of the ingest, without a trailing slash. */
  url: string
  /** Timeout of all steps together. */
  timeoutMs: number
  /** Bearer token for the ingest. */
  token: string | undefined
  output: Output
  env: NodeJS.ProcessEnv
}

/** Longer than the ingest waits for Kafka before it responds with 503. */
const REQUEST_MS = 15_000
const SAME_FILE_OR_BUG = `${SAME_FILE}. If they do, report this as a bug`

/** Throws CheckFailed, whose message names the cause, or another UserError if the document cannot be checked. */
export async function check({ pipeline, url, timeoutMs, token, output, env }: CheckOptions): Promise<void> {
  const { spec } = pipeline
  reportUnchecked(spec, newSale(pipeline), output)
  const results = new Results(pipeline, env)
  const documents = spec.sinks.elasticsearch ? new Documents(pipeline, env) : null
  const steps = new Steps(timeoutMs, output)
  try {
    const ready = () => checkReady(url, steps.requestTimeout(REQUEST_MS))
    await steps.run(`the ingest at ${url}`, ready, () => `the ingest at ${url} is ready`)
    const { sale, position } = await sendSale(pipeline, url, token, steps)
    for (const expected of sale.rows) {
      const rows = await readRows(results, sale, expected, position, steps)
      for (const projection of projectionsOf(spec, expected))
        for (const row of rows) await readDocument({ results, documents: documents!, expected, projection, row }, steps)
    }
    output.step(`ok: the sale ${sale.name} reached every sink in ${steps.elapsedMs} ms. The sale stays in the results`)
  } finally {
    await Promise.all([results.close(), documents?.close()])
  }
}

function newSale({ spec }: SalesPipeline): CheckSale {
  return checkSale(spec, `check-${randomUUID()}`, Date.now())
}

function projectionsOf({ sinks }: SalesPipeline['spec'], { aggregation }: ExpectedRow): Projection[] {
  return sinks.elasticsearch?.projections.filter(projection => projection.aggregation === aggregation) ?? []
}

function reportUnchecked(spec: SalesPipeline['spec'], { rows, shared }: CheckSale, output: Output): void {
  for (const name of shared) {
    const isProjected = spec.sinks.elasticsearch?.projections.some(({ aggregation }) => aggregation === name)
    const where = isProjected ? ', in PostgreSQL and in Elasticsearch' : ''
    output.step(`not checked: ${name}${where}: it does not group by a string field, so its rows contain other sales`)
  }
  for (const { aggregation, unchecked } of rows)
    if (unchecked.length > 0)
      output.step(`not checked: ${aggregation}: ${unchecked.join(', ')}, computed from an expression`)
}

type Sent = { sale: CheckSale; position: Position }

/** Every attempt sends a new sale: if a response was lost, that sale may be stored and would count twice. */
function sendSale(pipeline: SalesPipeline, url: string, token: string | undefined, steps: Steps): Promise<Sent> {
  const { topic } = pipeline.spec.source
  const attempt = async (): Promise<Attempt<Sent>> => {
    const sale = newSale(pipeline)
    const result = await send(url, { topic, json: sale.json, token }, steps.requestTimeout(REQUEST_MS))
    return 'found' in result ? { found: { sale, position: result.found } } : result
  }
  return steps.run(
    `the ingest to accept a sale at ${url}/${topic}`,
    attempt,
    ({ sale, position }) => `sent sale ${sale.name} to partition ${position.partition}, offset ${position.offset}`,
  )
}

async function readRows(
  results: Results,
  { name, time }: CheckSale,
  expected: ExpectedRow,
  position: Position,
  steps: Steps,
): Promise<StoredRow[]> {
  const { aggregation, columns, windows } = expected
  const table = `table ${results.schema}.${aggregation}`
  let since: number | null = null
  const attempt = async (): Promise<Attempt<StoredRow[]>> => {
    const rows = await results.rows(expected, name).catch(noTable)
    if (rows.length >= windows) return { found: checkRows(rows, time, expected, table) }
    const state = await results.saleState(aggregation, position)
    since ??= state.progress?.next ?? null
    return { pending: whyNoRow(state, { aggregation, schema: results.schema, position, since }) }
  }
  const unavailable = (error: unknown): Attempt<never> => {
    if (error instanceof CheckFailed) throw error
    return { pending: `PostgreSQL at ${results.address}: ${causeOf(error)}` }
  }
  return steps.run(
    `the row in ${table}`,
    () => attempt().catch(unavailable),
    () => `${table} holds ${formatColumns(columns)}`,
  )
}

/** Returns no rows for a missing table: `whyNoRow` then gives the reason. */
function noTable(error: unknown): StoredRow[] {
  if ((error as { code?: string }).code === '42P01') return []
  throw error
}

function checkRows(rows: StoredRow[], time: number, { columns, windows }: ExpectedRow, table: string): StoredRow[] {
  if (rows.length > windows)
    throw new CheckFailed(
      `${table} has ${rows.length} rows for the sale, expected ${windows} (one per window). ${SAME_FILE_OR_BUG}`,
    )
  for (const row of rows) {
    const wrong = differences(columns, row)
    if (wrong.length > 0)
      throw new CheckFailed(`the row in ${table} is wrong: ${wrong.join('; ')}. ${SAME_FILE_OR_BUG}`)
    const isWithin = Number(row.window_start) <= time && time < Number(row.window_end)
    if (!isWithin)
      throw new CheckFailed(
        `the row in ${table} belongs to a window that does not contain the sale's event time. ${SAME_FILE_OR_BUG}`,
      )
  }
  return rows
}

type DocumentCheck = {
  results: Results
  documents: Documents
  expected: ExpectedRow
  projection: Projection
  row: StoredRow
}

async function readDocument(target: DocumentCheck, steps: Steps): Promise<void> {
  const { results, documents, expected, projection, row } = target
  const { aggregation, groupBy } = expected
  const { index, fields } = projection
  const id = documentId(await results.owner(), aggregation, groupBy, row)
  const values = Object.fromEntries(
    Object.entries(expected.columns).map(([name, text]) => [documentField(fields, name), text]),
  )
  const attempt = async (): Promise<Attempt<true>> => {
    const result = await documents.find(index, id)
    if ('pending' in result) return { pending: `the row is in PostgreSQL, but ${result.pending}` }
    if (!result.found) return { pending: await whyMissing() }
    const wrong = differences(values, result.found)
    if (wrong.length > 0)
      throw new CheckFailed(`document ${id} of index ${index} is wrong: ${wrong.join('; ')}. ${SAME_FILE_OR_BUG}`)
    return { found: true }
  }
  const whyMissing = async () => {
    const state = await results.projectionState(aggregation, id).catch(causeOf)
    return typeof state === 'string' ? `PostgreSQL: ${state}` : whyNoDocument(state, aggregation, index)
  }
  await steps.run(`the document in index ${index}`, attempt, () => `index ${index} holds ${formatColumns(values)}`)
}

function formatColumns(columns: Record<string, string>): string {
  return Object.entries(columns)
    .map(([name, text]) => `${name} ${text}`)
    .join(', ')
}
