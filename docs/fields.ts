/** Reads the fields of the SalesPipeline document from its schema: one row each, in the order of the reference page. */
import { parse } from 'yaml'
import { z } from 'zod'
import type { Rule } from '#pipeline/rules.ts'
import { document } from '#pipeline/schema.ts'
import { inline } from './yaml.ts'

/** Cells in Markdown. Paths begin below `spec`, except apiVersion, kind and metadata. */
export type FieldRow = { path: string; type: string; default: string; meaning: string; example: string }

/** A field of the spec and the fields below it. The first section is the head of the document. */
export type FieldSection = { name: string; meaning: string; required: boolean; example: unknown; rows: FieldRow[] }

type SchemaNode = {
  type?: string
  properties?: Record<string, SchemaNode>
  items?: SchemaNode
  additionalProperties?: SchemaNode | boolean
  required?: string[]
  description?: string
  default?: unknown
  enum?: unknown[]
  minimum?: number
  maximum?: number
  minLength?: number
  maxLength?: number
  minItems?: number
  maxItems?: number
} & z.GlobalMeta

/** Labels with their own section on the page; the others are rows of its section "Names and formats". */
const GRAMMARS: Record<string, string> = {
  duration: 'durations',
  size: 'sizes',
  quantity: 'quantities',
  expression: 'expressions',
}

export const anchorOf = (path: string) => path.toLowerCase().replaceAll(/\W+/g, '-').replace(/-$/, '')

const schema = () => z.toJSONSchema(document, { io: 'input', target: 'openapi-3.0', reused: 'inline' }) as SchemaNode

/** `examples`: YAML documents that supply examples for fields without one in the schema. */
export function fieldSections(examples: string[]): FieldSection[] {
  const { properties, required } = schema()
  const { spec, ...head } = properties!
  const fields = new Fields(examples.map(text => parse(text)))
  const sections = Object.entries(spec!.properties!).map(([name, node]) => {
    const required = spec!.required!.includes(name)
    const rows = node.properties ? fields.below(node, name) : fields.of(node, name, required)
    return { name, meaning: node.description ?? '', required, example: node.example, rows }
  })
  const rows = fields.below({ properties: head, required: required! }, '')
  return [{ name: 'document', meaning: 'The outermost fields', required: true, example: undefined, rows }, ...sections]
}

/** Returns the messages of the schema's rules by label. */
export function formats(): Map<string, string[]> {
  const found = new Map<string, string[]>()
  const visit = (node: SchemaNode): void => {
    if (node.label && node.rules && !(node.label in GRAMMARS))
      found.set(
        node.label,
        (node.rules as Rule[]).map(({ message }) => message),
      )
    for (const child of [...Object.values(node.properties ?? {}), ...(node.items ? [node.items] : [])]) visit(child)
  }
  visit(schema())
  return found
}

/** Describes an object that has a label where it occurs first; later occurrences link there. */
class Fields {
  readonly #described = new Map<string, string>()
  readonly #documents: unknown[]

  constructor(documents: unknown[]) {
    this.#documents = documents
  }

  below(node: SchemaNode, path: string): FieldRow[] {
    if (node.label && node.properties) this.#described.set(node.label, anchorOf(path))
    return Object.entries(node.properties ?? {}).flatMap(([name, child]) =>
      this.of(child, path === '' ? name : `${path}.${name}`, node.required?.includes(name) ?? false),
    )
  }

  of(node: SchemaNode, path: string, required: boolean): FieldRow[] {
    const row = {
      path,
      type: this.#type(node),
      default: required ? '**required**' : defaultOf(node),
      meaning: node.description ?? '',
      example: this.#exampleOf(node, path),
    }
    const isDescribed = this.#described.has((node.items ?? node).label ?? '')
    if (isDescribed) return [row]
    return [row, ...(node.items ? this.below(node.items, `${path}[]`) : this.below(node, path))]
  }

  #type(node: SchemaNode): string {
    if (node.enum) return node.enum.map(value => `\`${value}\``).join(', ')
    const kind = node.items
      ? `list of ${this.#type(node.items).replace(/^object(?= of Kubernetes$|$)/, 'objects')}`
      : this.#kind(node)
    return [kind, ...boundsOf(node)].join(', ')
  }

  #kind({ type, label, properties, additionalProperties, free }: SchemaNode): string {
    if (free) return 'object of Kubernetes'
    const described = label && this.#described.get(label)
    if (described) return `[${label}](#${described})`
    if (properties) return 'object'
    if (typeof additionalProperties === 'object') return 'map of strings'
    return label ? `[${label}](#${GRAMMARS[label] ?? 'names-and-formats'})` : type!
  }

  #exampleOf(node: SchemaNode, path: string): string {
    if ([node, node.items].some(part => part?.properties && !part.free)) return ''
    const written = this.#documents.map(document => valueAt(document, path)).find(value => value !== undefined)
    const value = node.example ?? written ?? node.default ?? node.enum?.[0]
    return value === undefined ? '' : `\`${inline(value)}\``
  }
}

/** Returns '' for an object that may be left out: the defaults of its fields then apply. */
function defaultOf({ default: value }: SchemaNode): string {
  return value === undefined || inline(value) === '{}' ? '' : `\`${inline(value)}\``
}

function boundsOf(node: SchemaNode): string[] {
  const { label, bounds, listKey, listSet, maxProperties, type } = node
  const isFormat = label !== undefined && label !== 'expression'
  return [
    ...(bounds ? [bounds] : []),
    ...(type === 'string' && !isFormat ? range(node.minLength, node.maxLength, ' characters') : []),
    ...range(node.minimum, node.maximum, ''),
    ...range(node.minItems, node.maxItems, ' items'),
    ...range(undefined, maxProperties, ' entries'),
    ...(listKey ? [`unique \`${listKey}\``] : []),
    ...(listSet ? ['no duplicates'] : []),
  ]
}

function range(min: number | undefined, max: number | undefined, unit: string): string[] {
  const hasMax = max !== undefined && max < Number.MAX_SAFE_INTEGER
  if (hasMax && min) return [`${min} to ${max}${unit}`]
  if (hasMax) return [`${min === undefined || unit ? 'at most ' : `${min} to `}${max}${unit}`]
  return min === undefined || min === -Number.MAX_SAFE_INTEGER ? [] : [`at least ${min}${unit}`]
}

/** Returns the value at a path of a document or its spec; in a list, that of the first item that has one. */
function valueAt(document: unknown, path: string): unknown {
  const [name, ...rest] = path.split('.')
  const holder = document as Record<string, unknown>
  const start = name! in holder ? holder : (holder.spec as Record<string, unknown>)
  return descend(start, [name!, ...rest])
}

function descend(value: unknown, [name, ...rest]: string[]): unknown {
  if (name === undefined) return value
  if (typeof value !== 'object' || value === null) return undefined
  const child = (value as Record<string, unknown>)[name.replace('[]', '')]
  if (!name.endsWith('[]')) return descend(child, rest)
  return (child as unknown[] | undefined)?.map(item => descend(item, rest)).find(found => found !== undefined)
}
