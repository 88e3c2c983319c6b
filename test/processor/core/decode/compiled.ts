/** Compiles specs for the decoder's tests from the parts that the decoder reads. */
import { type CompiledSpec, compileSpec } from '#pipeline/compiled-spec.ts'
import { checkPipeline } from '#pipeline/parse.ts'

export type FieldSpec = {
  name: string
  path?: string
  type?: 'string' | 'number' | 'decimal' | 'boolean'
  scale?: number
  default?: string
  optional?: boolean
  rounding?: 'half-even'
  blankAsNull?: boolean
}

export type EventSpec = {
  time?: {
    path?: string | undefined
    format?: 'rfc3339' | 'iso8601' | 'epoch' | 'record-timestamp'
    formats?: readonly string[]
    unit?: 's' | 'ms' | 'us' | 'ns'
    zone?: string
    notBefore?: string
  }
  fields?: FieldSpec[]
  /** Path of the id; setting it enables deduplication. */
  id?: string | undefined
  explode?: { path: string; fields: FieldSpec[]; maxLines?: number }
  integralIds?: boolean
  /** Each makes one aggregation. */
  groupBys?: string[][]
}

/** Event times up to five minutes after the record's timestamp are good. */
export const MAX_SKEW = 300_000

export function compiledFor(event: EventSpec): CompiledSpec {
  return compileSpec(checkPipeline(documentFor(event)).spec)
}

export function documentFor({ time, fields = [], id, integralIds, explode, groupBys = [[]] }: EventSpec) {
  return {
    apiVersion: 'salespipeline.dev/v1alpha1',
    kind: 'SalesPipeline',
    metadata: { name: 'test' },
    spec: {
      source: { topic: 'sales' },
      event: { id, integralIds, time: { path: 'ts', ...time }, fields, explode },
      watermark: { maxFutureSkew: '5m' },
      ...(id === undefined ? {} : { deduplication: {} }),
      aggregations: groupBys.map((groupBy, i) => ({
        name: `sums_${i}`,
        groupBy,
        measures: [{ name: 'events', op: 'count' as const }],
      })),
    },
  }
}
