/**
 * Creates a sale that differs from all others, and the result rows to expect for it. Pure. It computes them from the spec
 * and shares no code with the engine, which it checks.
 */
import { allFields } from '#pipeline/fields.ts'
import type { Aggregation, Field, Measure, Spec, Window } from '#pipeline/schema.ts'
import { formatsOf, patternText, readsNumbers } from '#pipeline/time-forms.ts'
import { UserError } from '#pipeline/user-error.ts'

export type CheckSale = {
  /** Its id and the value of all its strings. */
  name: string
  /** Its event time, ms since the epoch. */
  time: number
  json: string
  rows: ExpectedRow[]
  /** Aggregations whose rows contain other sales as well. */
  shared: string[]
}

export type ExpectedRow = {
  aggregation: string
  groupBy: string[]
  /** The group-by columns that contain the sale's name, so that the row contains no other sale. */
  identifiedBy: string[]
  /** The exact text of each checked column. */
  columns: Record<string, string>
  /** One row for each window that the sale falls into. */
  windows: number
  /** Measures over expressions. Computing them here would need a second engine. */
  unchecked: string[]
}

type Value = string | number | boolean
type Tree = { [name: string]: Value | Tree | Tree[] }

/** Truncated to the decimals of the field, because a value with more is refused. */
const AMOUNT = '12.34'

/** Throws a UserError if no aggregation has rows of a single sale. `name` must not occur in another sale. */
export function checkSale(spec: Spec, name: string, now: number): CheckSale {
  const { event } = spec
  const values = new Map<string, Value>()
  const root: Tree = Object.create(null)
  const line: Tree = Object.create(null)
  if (event.id) put(root, event.id, name)
  const written = timeOf(event.time, now)
  const time = event.time.path === undefined ? '' : put(root, event.time.path, written)
  for (const field of event.fields) values.set(field.name, put(root, pathOf(field), sampleOf(field, name)))
  for (const field of event.explode?.fields ?? [])
    values.set(field.name, put(line, pathOf(field), sampleOf(field, name)))
  if (event.explode) put(root, event.explode.path, [line])
  const identifiedBy = ({ groupBy }: Aggregation) => groupBy.filter(key => values.get(key) === name)
  const [separate, shared] = partition(spec.aggregations, aggregation => identifiedBy(aggregation).length > 0)
  if (separate.length === 0) throw new UserError(NO_SEPARATE_ROW)
  return {
    name,
    time: typeof time === 'string' ? now : now - (now % MS_PER_UNIT[event.time.unit]),
    json: JSON.stringify(root),
    rows: separate.map(aggregation => expectedRow(spec, aggregation, identifiedBy(aggregation), values)),
    shared: shared.map(aggregation => aggregation.name),
  }
}

const NO_SEPARATE_ROW =
  'this pipeline cannot be checked with one sale: no aggregation groups by a string field, so every row would also ' +
  'contain other sales. Add an aggregation that groups by a string field'

function expectedRow(
  spec: Spec,
  { name, groupBy, measures, window = spec.window }: Aggregation,
  identifiedBy: string[],
  values: Map<string, Value>,
): ExpectedRow {
  const fields = allFields(spec)
  const texts = measures.map(measure => [measure.name, measuredText(measure, fields, values)] as const)
  const known = texts.filter((entry): entry is [string, string] => entry[1] !== null)
  return {
    aggregation: name,
    groupBy,
    identifiedBy,
    columns: Object.fromEntries([...identifiedBy.map(key => [key, String(values.get(key))]), ...known]),
    windows: windowsOf(window),
    unchecked: texts.filter(([, text]) => text === null).map(([column]) => column),
  }
}

function windowsOf({ type, size, slide }: Window): number {
  return type === 'sliding' ? size! / slide! : 1
}

/** Returns the result for a single line, whose sum, min, max and average all equal its value; null for an expression. */
function measuredText({ op, of, scale }: Measure, fields: Field[], values: Map<string, Value>): string | null {
  if (op === 'count') return '1'
  const field = fields.find(({ name }) => name === of?.trim())
  return field ? withDecimals(String(values.get(field.name)), scale ?? scaleOf(field)) : null
}

const scaleOf = ({ type, scale }: Field) => scale ?? (type === 'decimal' ? 2 : 0)

const pathOf = ({ path, name }: Field) => path ?? name

/** Truncates or pads the decimals. For 12.34 rounding half-even gives the same result. */
function withDecimals(text: string, scale: number): string {
  const [whole, decimals = ''] = text.split('.')
  return scale === 0 ? whole! : `${whole}.${decimals.slice(0, scale).padEnd(scale, '0')}`
}

function sampleOf(field: Field, name: string): Value {
  switch (field.type) {
    case 'string':
      return name
    case 'boolean':
      return true
    case 'number':
      return 1
    case 'decimal':
      return Number(withDecimals(AMOUNT, Math.min(scaleOf(field), 2)))
  }
}

const MS_PER_UNIT = { s: 1000, ms: 1, us: 1, ns: 1 }

/** The product of 13 digits and a power of ten is printed with exactly these digits, even beyond 2^53. */
function timeOf(time: Spec['event']['time'], now: number): Value {
  const formats = formatsOf(time)
  if (formats.some(format => format === 'rfc3339' || format === 'iso8601')) return new Date(now).toISOString()
  if (!readsNumbers(time)) return patternText(formats[0]!, now, time.zone)
  const { unit } = time
  return { s: Math.floor(now / 1000), ms: now, us: now * 1e3, ns: now * 1e6 }[unit]
}

/** Sets a value and creates the objects on its path. Returns the value at the path: an earlier one stays, such as the id. */
function put<T extends Value | Tree[]>(root: Tree, path: string, value: T): T {
  const names = path.split('.')
  const last = names.pop()!
  let at = root
  for (const name of names) {
    const inner = at[name]
    at = (typeof inner === 'object' ? inner : (at[name] = Object.create(null))) as Tree
  }
  return (at[last] ??= value) as T
}

function partition<T>(items: T[], isFirst: (item: T) => boolean): [T[], T[]] {
  return [items.filter(isFirst), items.filter(item => !isFirst(item))]
}
