/** Derives index settings and mappings from the compiled spec. */
import type { estypes } from '@elastic/elasticsearch'
import type { CompiledSpec } from '#pipeline/compiled-spec.ts'
import { documentField, freeName } from '#pipeline/names.ts'
import type { Projection } from '#pipeline/schema.ts'

export type IndexDefinition = {
  /** Index into compiled.aggregations. */
  aggregation: number
  index: string
  /** Name of the index template. */
  template: string
  /** Uses an index that has no mark. */
  adopt: boolean
  settings: estypes.IndicesIndexSettings
  mappings: estypes.MappingTypeMapping & { properties: Record<string, estypes.MappingProperty> }
}

/** Higher than the priority of templates that others write for name patterns (built-in ones have at most 100). */
export const TEMPLATE_PRIORITY = 500

const SETTINGS: estypes.IndicesIndexSettings = {
  // The index is green on a single node; with a second node it gets a replica.
  auto_expand_replicas: '0-1',
  // How long Elasticsearch remembers a deleted row's version. A projector that hangs longer could write the row again.
  gc_deletes: '10m',
}

const DATE: estypes.MappingProperty = { type: 'date' }
const KEYWORD: estypes.MappingProperty = { type: 'keyword' }
const BOOLEAN: estypes.MappingProperty = { type: 'boolean' }
const COUNT: estypes.MappingProperty = { type: 'long' }
// For searches and sums, which are approximate; _source keeps the exact text.
const AMOUNT: estypes.MappingProperty = { type: 'double' }

/** Returns one definition per projection of the spec. */
export function indexDefinitions(compiled: CompiledSpec): IndexDefinition[] {
  const projections = compiled.spec.sinks.elasticsearch?.projections ?? []
  return projections.map(projection => ({
    aggregation: compiled.aggregations.findIndex(a => a.name === projection.aggregation),
    index: projection.index,
    template: projection.template ?? projection.index,
    adopt: projection.adopt,
    settings: SETTINGS,
    mappings: { dynamic: 'strict', properties: propertiesOf(compiled, projection) },
  }))
}

/** Returns the fields of docs/tables.md, "Elasticsearch". Number keys are keywords: they may not fit a double. */
function propertiesOf(compiled: CompiledSpec, projection: Projection): Record<string, estypes.MappingProperty> {
  const { keys, columns, shown, mark } = compiled.aggregations.find(a => a.name === projection.aggregation)!
  const fields = keys.map(k => compiled.fields[k]!)
  const properties: [column: string, property: estypes.MappingProperty][] = [
    ['window_start', DATE],
    ['window_end', DATE],
    ...fields.map(({ name, type }): [string, estypes.MappingProperty] => [
      name,
      type === 'boolean' ? BOOLEAN : KEYWORD,
    ]),
    ...columns.map((c): [string, estypes.MappingProperty] => [c.name, c.source === 'count' ? COUNT : AMOUNT]),
    ...shown.map(({ name }): [string, estypes.MappingProperty] => [name, AMOUNT]),
    ['final', BOOLEAN],
    ['updated_at', DATE],
  ]
  const mapped = Object.fromEntries(
    properties.map(([column, property]) => [documentField(projection.fields, column), property]),
  )
  return { ...mapped, [freeName(documentField(projection.fields, mark), Object.keys(mapped))]: BOOLEAN }
}
