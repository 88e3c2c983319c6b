/** Sends one sale through the REST ingest and reads it back from every sink that the document names. */
import { randomUUID } from 'node:crypto'
import type { Projection, SalesPipeline } from '#pipeline/schema.ts'
import { Documents, documentId } from './elasticsearch.ts'
import { askReady, type Place, send } from './ingest.ts'
import { differences, whyNoDocument, whyNoRow } from './judge.ts'
import { Results, type StoredRow } from './postgres.ts'
import { type CheckSale, checkSale, type ExpectedRow } from './sale.ts'
import { type Answer, CheckFailed, causeOf, type Say, Steps } from './waiting.ts'

export type CheckOptions = {
  pipeline: SalesPipeline
  /** Of the ingest, without a trailing slash. */
  url: string
  /** For everything together. */
  timeoutMs: number
  say: Say
  env: NodeJS.ProcessEnv
}

/** Longer than the ingest waits for Kafka before it answers 503. */
const ANSWER_MS = 15_000

/** Throws CheckFailed, which names what is at fault; or another UserError where the document cannot be checked. */
export async function check({ pipeline, url, timeoutMs, say, env }: CheckOptions): Promise<void> {
  const { spec } = pipeline
  tellOfUnchecked(spec, newSale(pipeline), say)
  const results = new Results(pipeline, env)
  const documents = spec.sinks.elasticsearch ? new Documents(pipeline, env) : null
  const steps = new Steps(timeoutMs, say)
  try {
    const ready = () => askReady(url, steps.patience(ANSWER_MS))
    await steps.take(`the ingest at ${url} is ready`, ready, () => `the ingest at ${url} is ready`)
    const { sale, place } = await sendSale(pipeline, url, steps)
    for (const expected of sale.rows) {
      const rows = await readRows(results, sale, expected, place, steps)
      for (const projection of projectionsOf(spec, expected))
        for (const row of rows) await readDocument({ results, documents: documents!, expected, projection, row }, steps)
    }
    say.step(`ok: ${sale.name} came through in ${steps.takenMs} ms. It stays in the results, under that name`)
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

function tellOfUnchecked(spec: SalesPipeline['spec'], { rows, shared }: CheckSale, say: Say): void {
  for (const name of shared) {
    const isProjected = spec.sinks.elasticsearch?.projections.some(({ aggregation }) => aggregation === name)
    const where = isProjected ? ', in PostgreSQL and in Elasticsearch' : ''
    say.step(`not checked: ${name}${where}: it groups by no string field, so that its rows are not one sale's alone`)
  }
  for (const { aggregation, unchecked } of rows)
    if (unchecked.length > 0)
      say.step(`not checked: ${aggregation}: ${unchecked.join(', ')}, measured by an expression`)
}

type Sent = { sale: CheckSale; place: Place }

/** Each attempt is another sale: one whose answer was lost may be stored all the same, and would count twice. */
function sendSale(pipeline: SalesPipeline, url: string, steps: Steps): Promise<Sent> {
  const { topic } = pipeline.spec.source
  const ask = async (): Promise<Answer<Sent>> => {
    const sale = newSale(pipeline)
    const answer = await send(url, topic, sale.json, steps.patience(ANSWER_MS))
    return 'found' in answer ? { found: { sale, place: answer.found } } : answer
  }
  return steps.take(
    `the ingest takes a sale at ${url}/${topic}`,
    ask,
    ({ sale, place }) => `sale ${sale.name} is sent: partition ${place.partition}, offset ${place.offset}`,
  )
}

async function readRows(
  results: Results,
  { name, time }: CheckSale,
  expected: ExpectedRow,
  place: Place,
  steps: Steps,
): Promise<StoredRow[]> {
  const { aggregation, holds, windows } = expected
  const table = `table ${results.schema}.${aggregation}`
  let since: number | null = null
  const ask = async (): Promise<Answer<StoredRow[]>> => {
    const rows = await results.rows(expected, name).catch(undefinedTable)
    if (rows.length >= windows) return { found: judged(rows, time, expected, table) }
    const seen = await results.look(aggregation, place)
    since ??= seen.progress?.next ?? null
    return { waitsFor: whyNoRow(seen, { aggregation, schema: results.schema, place, since }) }
  }
  const away = (error: unknown): Answer<never> => {
    if (error instanceof CheckFailed) throw error
    return { waitsFor: `PostgreSQL at ${results.address}: ${causeOf(error)}` }
  }
  return steps.take(
    `the row in ${table}`,
    () => ask().catch(away),
    () => `${table} holds ${shown(holds)}`,
  )
}

/** Not there yet is not an error: whoever looks then says so. */
function undefinedTable(error: unknown): StoredRow[] {
  if ((error as { code?: string }).code === '42P01') return []
  throw error
}

function judged(rows: StoredRow[], time: number, { holds, windows }: ExpectedRow, table: string): StoredRow[] {
  if (rows.length > windows) throw new CheckFailed(`${table} has ${rows.length} rows of one sale, not ${windows}`)
  for (const row of rows) {
    const wrong = differences(holds, row)
    if (wrong.length > 0) throw new CheckFailed(`the row in ${table} is wrong: ${wrong.join('; ')}`)
    const isWithin = Number(row.window_start) <= time && time < Number(row.window_end)
    if (!isWithin) throw new CheckFailed(`the row in ${table} is of a window that the sale does not fall into`)
  }
  return rows
}

type Shown = {
  results: Results
  documents: Documents
  expected: ExpectedRow
  projection: Projection
  row: StoredRow
}

async function readDocument({ results, documents, expected, projection, row }: Shown, steps: Steps): Promise<void> {
  const { aggregation, groupBy } = expected
  const { index, fields } = projection
  const id = documentId(aggregation, groupBy, row)
  const holds = Object.fromEntries(Object.entries(expected.holds).map(([name, text]) => [fields[name] ?? name, text]))
  const ask = async (): Promise<Answer<true>> => {
    const answer = await documents.find(index, id)
    if ('waitsFor' in answer) return { waitsFor: `the row is there, but ${answer.waitsFor}` }
    if (!answer.found) return { waitsFor: await whyMissing() }
    const wrong = differences(holds, answer.found)
    if (wrong.length > 0) throw new CheckFailed(`document ${id} of index ${index} is wrong: ${wrong.join('; ')}`)
    return { found: true }
  }
  const whyMissing = async () => {
    const seen = await results.lookAtProjection(aggregation, id).catch(causeOf)
    return typeof seen === 'string' ? `PostgreSQL: ${seen}` : whyNoDocument(seen, aggregation, index)
  }
  await steps.take(`the document in index ${index}`, ask, () => `index ${index} holds ${shown(holds)}`)
}

function shown(holds: Record<string, string>): string {
  return Object.entries(holds)
    .map(([name, text]) => `${name} ${text}`)
    .join(', ')
}
