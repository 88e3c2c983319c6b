/** Derives the JSON schema of one event from the mapping of a spec. It documents and validates requests. Pure. */
import { scaleOf } from '#pipeline/fields.ts'
import type { Field, Spec } from '#pipeline/schema.ts'
import { formatsOf, patternText, readsNumbers, timePattern } from '#pipeline/time-forms.ts'

export type JsonSchema = { [keyword: string]: unknown }
type Explode = NonNullable<Spec['event']['explode']>
type ObjectSchema = {
  type: string | string[]
  properties: Record<string, JsonSchema>
  required: string[]
  additionalProperties: true
}

/** JSON's grammar of numbers: no blanks, no `+1`, no `.5`. */
const NUMBER = '^-?(0|[1-9]\\d*)(\\.\\d+)?([eE][+-]?\\d+)?$'
/** White space as in JSON. */
const BLANK = '^[ \\t\\n\\r]*$'
const NOT_BLANK = '[^ \\t\\n\\r]'
const RFC3339 = '^(?!0000)\\d{4}-\\d\\d-\\d\\d[Tt ]([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d+)?'
const OFFSET = '([Zz]|[+-]([01]\\d|2[0-3]):[0-5]\\d)'

/** Each leaf's `description` completes the sentence "must be …". */
export function eventSchema(spec: Spec): JsonSchema {
  return schemaOf(spec, explode => ({ items: lineSchema(explode) }))
}

/** Returns the schema of an event whose lines may be anything: `lineSchema` is the schema of each. */
export function schemaWithoutLines(spec: Spec): JsonSchema {
  return schemaOf(spec, () => ({}))
}

export function lineSchema({ fields }: Explode): JsonSchema {
  const line = objectSchema()
  for (const field of fields) putField(line, field)
  return line
}

/** Returns the schema for Ajv, which ignores a property __proto__ but not a pattern that matches it. */
export function forAjv(schema: JsonSchema): JsonSchema {
  const { properties, allOf } = schema as { properties?: Record<string, JsonSchema>; allOf?: JsonSchema[] }
  const parts = Object.entries(properties ?? {}).map(([name, part]) => [name, forAjv(part)] as const)
  const ofPrototype = parts.filter(([name]) => name === '__proto__')
  return {
    ...schema,
    ...(properties && { properties: Object.fromEntries(parts.filter(([name]) => name !== '__proto__')) }),
    ...(ofPrototype.length > 0 && { patternProperties: { '^__proto__$': ofPrototype[0]![1] } }),
    ...(allOf && { allOf: allOf.map(forAjv) }),
  }
}

function schemaOf({ event, deduplication }: Spec, items: (explode: Explode) => JsonSchema): JsonSchema {
  const root = objectSchema()
  if (event.id) put(root, event.id, idSchema(), deduplication !== undefined)
  if (event.time.path !== undefined) put(root, event.time.path, timeSchema(event.time), true)
  for (const field of event.fields) putField(root, field)
  if (event.explode) {
    const { path, maxLines } = event.explode
    const description = `an array of 1 to ${maxLines} lines`
    put(root, path, { type: 'array', ...items(event.explode), minItems: 1, maxItems: maxLines, description }, true)
  }
  return root
}

function objectSchema(): ObjectSchema {
  // Without a prototype: an event may have a field such as constructor.
  return { type: 'object', properties: Object.create(null), required: [], additionalProperties: true }
}

function putField(root: ObjectSchema, field: Field): void {
  const needed = !field.optional && field.default === undefined
  const schema = fieldSchema(field)
  put(root, field.path ?? field.name, field.blankAsNull ? withBlanks(schema, needed) : schema, needed)
}

/** A blank text counts as null: it is refused where a value is needed, and otherwise accepted for every type. */
function withBlanks(schema: JsonSchema, needed: boolean): JsonSchema {
  const { type, pattern, description } = schema
  const types = [type].flat()
  if (needed)
    return type === 'string' ? { ...schema, pattern: NOT_BLANK, description: `${description}, not blank` } : schema
  if (type === 'string') return schema
  return {
    ...schema,
    type: types.includes('string') ? types : [...types, 'string'],
    pattern: pattern === undefined ? BLANK : `${BLANK}|${pattern}`,
    description: `${description}, or a blank string`,
  }
}

/** Adds a leaf and the objects on its path. A value that may be absent may also be null. */
function put(root: ObjectSchema, path: string, leaf: JsonSchema, needed: boolean): void {
  const names = path.split('.')
  const last = names.pop()!
  let at = root
  for (const name of names) {
    const earlier = at.properties[name]
    const inner = earlier?.properties ? (earlier as ObjectSchema) : { ...objectSchema(), type: ['object', 'null'] }
    at.properties[name] = inner
    if (needed) inner.type = 'object'
    if (needed && !at.required.includes(name)) at.required.push(name)
    at = inner
  }
  const schema = needed ? leaf : orNull(leaf)
  const earlier = at.properties[last]
  at.properties[last] = earlier ? { allOf: [earlier, schema] } : schema
  if (needed && !at.required.includes(last)) at.required.push(last)
}

function orNull(schema: JsonSchema): JsonSchema {
  return { ...schema, type: [schema.type, 'null'].flat(), description: `${schema.description}, or null` }
}

function idSchema(): JsonSchema {
  return {
    type: ['string', 'integer'],
    description: 'a string or a whole number that identifies the sale',
    examples: ['order-1001'],
  }
}

function timeSchema(time: Spec['event']['time']): JsonSchema {
  const { format, unit, zone } = time
  if (time.formats || format === 'iso8601') return formatsSchema(time)
  if (format === 'epoch')
    return {
      type: 'number',
      description: `a time since 1970 as a number, unit ${unit}`,
      examples: [EPOCH_EXAMPLES[unit]],
    }
  const pattern = zone === undefined ? `${RFC3339}${OFFSET}$` : `${RFC3339}${OFFSET}?$`
  const withoutZone = zone === undefined ? '' : ` (in zone ${zone} if it has none)`
  return {
    type: 'string',
    pattern,
    description: `an RFC 3339 time such as 2026-01-31T12:00:00Z${withoutZone}`,
    examples: ['2026-01-31T12:00:00Z'],
  }
}

/** The exact checks decide which dates exist, and whether a zone is missing. */
function formatsSchema(time: Spec['event']['time']): JsonSchema {
  const formats = formatsOf(time)
  const numbers = readsNumbers(time)
  const unit = numbers ? ` (epoch: a number since 1970, unit ${time.unit})` : ''
  const isText = formats[0] === 'iso8601' || formats[0] === 'rfc3339'
  return {
    type: numbers ? ['string', 'number'] : 'string',
    pattern: timePattern(time),
    description: `a time in format ${formats.join(' or ')}${unit}`,
    ...(isText && { examples: ['2026-01-31T12:00:00Z'] }),
    ...(!isText && {
      examples: [numbers ? EPOCH_EXAMPLES[time.unit] : patternText(formats[0]!, EXAMPLE_TIME, time.zone)],
    }),
  }
}

const EXAMPLE_TIME = Date.UTC(2026, 0, 31, 12)

const EPOCH_EXAMPLES = {
  s: 1_769_860_800,
  ms: 1_769_860_800_000,
  us: 1_769_860_800_000_000,
  ns: 1_769_860_800_000_000_000,
}

function fieldSchema(field: Field): JsonSchema {
  const { type } = field
  const decimals = field.rounding ? '' : ` with ${decimalsText(scaleOf(field))}`
  switch (type) {
    case 'string':
      return { type, description: 'a string', examples: ['text'] }
    case 'boolean':
      return { type, description: 'true or false', examples: [true] }
    case 'number':
      return { type, description: `a number${decimals}`, examples: [1] }
    case 'decimal': {
      const description = `a number, or a number in a string${decimals && `,${decimals}`}`
      return { type: ['string', 'number'], pattern: NUMBER, description, examples: ['12.34'] }
    }
  }
}

function decimalsText(scale: number): string {
  return scale === 0 ? 'no decimals' : `at most ${scale} decimals`
}
