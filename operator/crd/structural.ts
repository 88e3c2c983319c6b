/**
 * The spec's zod schema as a structural OpenAPI v3 schema: what the API server checks, defaults and prunes by.
 * https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
 */
import { z } from 'zod'
import type { Rule } from '#pipeline/rules.ts'

export type Structural = {
  type?: string
  description?: string
  properties?: Record<string, Structural>
  required?: string[]
  items?: Structural
  additionalProperties?: Structural
  [keyword: string]: unknown
}

type JsonSchema = Structural & { additionalProperties?: Structural | false; rules?: Rule[] } & z.GlobalMeta

/** Keywords that are the same in a structural schema. */
const KEPT = [
  'type',
  'description',
  'default',
  'enum',
  'required',
  'minimum',
  'maximum',
  'minLength',
  'maxLength',
  'minItems',
  'maxItems',
  'maxProperties',
] as const

/** Converts the input side of `schema`, before transforms. Throws, with the path, when a structural schema cannot express it. */
export function structural(schema: z.ZodType): Structural {
  const json = z.toJSONSchema(schema, { io: 'input', target: 'openapi-3.0', reused: 'inline' })
  return convert(json as JsonSchema, 'spec')
}

function convert(json: JsonSchema, at: string): Structural {
  if (json.intOrString)
    return { description: json.description, 'x-kubernetes-int-or-string': true, ...extensions(json) } as Structural
  if (typeof json.type !== 'string')
    throw new Error(`${at}: a structural schema needs one type, not ${JSON.stringify(json)}`)
  const kept = Object.fromEntries(KEPT.flatMap(name => (json[name] === undefined ? [] : [[name, json[name]]])))
  if (json.localDefault) delete kept.default
  return { ...kept, ...children(json, at), ...extensions(json), ...bounded(json) } as Structural
}

/** Least bound of a text in the schema: room for a value that is clearly too long. */
const MIN_BOUND = 64

/**
 * Lets a rule refuse a text that is too long, with the message of the field: the API server's own message names neither the
 * field's meaning nor what to do, and it skips all rules. The schema's larger bound limits the estimated cost of rules.
 */
function bounded({ type, maxLength, rules = [], enum: words, lengthBound }: JsonSchema): object {
  if (type !== 'string' || maxLength === undefined || words) return {}
  const [first = { rule: 'true', message: `must have at most ${maxLength} characters` }, ...others] = rules
  const rule = `size(self) <= ${maxLength}${first.rule === 'true' ? '' : ` && (${first.rule})`}`
  return {
    maxLength: lengthBound ?? Math.max(MIN_BOUND, 2 * (maxLength as number)),
    'x-kubernetes-validations': [{ ...first, rule }, ...others],
  }
}

function children(json: JsonSchema, at: string): Partial<Structural> {
  const { properties, items, additionalProperties, free } = json
  if (free) return {}
  return {
    ...(properties && {
      properties: Object.fromEntries(
        Object.entries(properties).map(([name, child]) => [name, convert(child as JsonSchema, `${at}.${name}`)]),
      ),
    }),
    ...(items && { items: convert(items as JsonSchema, `${at}[]`) }),
    // false needs no counterpart: pruning and strict field validation do the same.
    ...(additionalProperties && { additionalProperties: convert(additionalProperties as JsonSchema, `${at}{}`) }),
  }
}

/** Omits patterns: each is replaced by a rule, which has a message for people. */
function extensions({ rules, listKey, listSet, free }: JsonSchema): Record<string, unknown> {
  return {
    ...(rules && { 'x-kubernetes-validations': rules }),
    ...(listKey && { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': [listKey] }),
    ...(listSet && { 'x-kubernetes-list-type': 'set' }),
    ...(free && { 'x-kubernetes-preserve-unknown-fields': true }),
  }
}

/** Adds rules to the schema at a path such as `spec.aggregations[].measures[]`. Throws when there is no such path. */
export function withRules(schema: Structural, path: string, rules: Rule[]): void {
  const node = path
    .split(/\.|(?=\[\])/)
    .slice(1)
    .reduce<Structural | undefined>((part, name) => (name === '[]' ? part?.items : part?.properties?.[name]), schema)
  if (!node) throw new Error(`the schema has no field at ${path}`)
  node['x-kubernetes-validations'] = [...((node['x-kubernetes-validations'] as Rule[] | undefined) ?? []), ...rules]
}
