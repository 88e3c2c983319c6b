/**
 * One sale that is told from all others, and what the results must hold once it is counted. Pure, and from the spec
 * alone: nothing that the engine computes with is used here, since it is what this judges.
 */
import { allFields } from '#pipeline/checks.ts'
import type { Aggregation, Field, Measure, Spec, Window } from '#pipeline/schema.ts'
import { UserError } from '#pipeline/user-error.ts'

export type CheckSale = {
  /** Its id, and the value of all its texts. */
  name: string
  /** As the event says it, in ms since the epoch. */
  time: number
  json: string
  rows: ExpectedRow[]
  /** Aggregations whose rows hold other sales as well. */
  shared: string[]
}

export type ExpectedRow = {
  aggregation: string
  groupBy: string[]
  /** The group-by columns that hold the sale's name, so that the row is nobody else's. */
  tellingBy: string[]
  /** Column → its exact text. */
  holds: Record<string, string>
  /** One row for each window that the sale falls into. */
  windows: number
  /** Measures over expressions: computing them here would be a second engine. */
  unchecked: string[]
}

type Value = string | number | boolean
type Tree = { [name: string]: Value | Tree | Tree[] }

/** More decimals than most fields have would be refused: cut to what the field keeps. */
const AMOUNT = '12.34'

/** Throws an Error when no aggregation could show the sale alone. `name` must be new: nobody else's sale may hold it. */
export function checkSale(spec: Spec, name: string, now: number): CheckSale {
  const { event } = spec
  const values = new Map<string, Value>()
  const root: Tree = Object.create(null)
  const line: Tree = Object.create(null)
  if (event.id) put(root, event.id, name)
  const time = put(root, event.time.path, timeOf(event.time, now))
  for (const field of event.fields) values.set(field.name, put(root, pathOf(field), sampleOf(field, name)))
  for (const field of event.explode?.fields ?? [])
    values.set(field.name, put(line, pathOf(field), sampleOf(field, name)))
  if (event.explode) put(root, event.explode.path, [line])
  const tellingBy = ({ groupBy }: Aggregation) => groupBy.filter(key => values.get(key) === name)
  const [alone, shared] = divided(spec.aggregations, aggregation => tellingBy(aggregation).length > 0)
  if (alone.length === 0) throw new UserError(CANNOT_TELL)
  return {
    name,
    time: typeof time === 'string' ? now : now - (now % MS_PER_UNIT[event.time.unit]),
    json: JSON.stringify(root),
    rows: alone.map(aggregation => expectedRow(spec, aggregation, tellingBy(aggregation), values)),
    shared: shared.map(aggregation => aggregation.name),
  }
}

const CANNOT_TELL =
  'this pipeline cannot be checked with one sale: no aggregation groups by a string field, so that no row would be ' +
  'the sale’s alone'

function expectedRow(
  spec: Spec,
  { name, groupBy, measures, window = spec.window }: Aggregation,
  tellingBy: string[],
  values: Map<string, Value>,
): ExpectedRow {
  const fields = allFields(spec)
  const texts = measures.map(measure => [measure.name, measuredText(measure, fields, values)] as const)
  const known = texts.filter((entry): entry is [string, string] => entry[1] !== null)
  return {
    aggregation: name,
    groupBy,
    tellingBy,
    holds: Object.fromEntries([...tellingBy.map(key => [key, String(values.get(key))]), ...known]),
    windows: windowsOf(window),
    unchecked: texts.filter(([, text]) => text === null).map(([column]) => column),
  }
}

function windowsOf({ type, size, slide }: Window): number {
  return type === 'sliding' ? size! / slide! : 1
}

/** Of one line alone, the sum, the least, the greatest and the average are all its own value. Null: not known here. */
function measuredText({ op, of, scale }: Measure, fields: Field[], values: Map<string, Value>): string | null {
  if (op === 'count') return '1'
  const field = fields.find(({ name }) => name === of?.trim())
  return field ? withDecimals(String(values.get(field.name)), scale ?? scaleOf(field)) : null
}

const scaleOf = ({ type, scale }: Field) => scale ?? (type === 'decimal' ? 2 : 0)

const pathOf = ({ path, name }: Field) => path ?? name

/** Decimals that are not kept are cut off: of 12.34 rounding half-even comes to the same. */
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

/** A product of 13 digits and a power of ten is written with exactly these digits, even beyond 2^53. */
function timeOf({ format, unit }: Spec['event']['time'], now: number): Value {
  if (format === 'rfc3339') return new Date(now).toISOString()
  return { s: Math.floor(now / 1000), ms: now, us: now * 1e3, ns: now * 1e6 }[unit]
}

/** Makes the objects on the way. What stands there already stays and is answered: a field may read the id or the time. */
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

function divided<T>(items: T[], isFirst: (item: T) => boolean): [T[], T[]] {
  return [items.filter(isFirst), items.filter(item => !isFirst(item))]
}
