/** The identity of an aggregation apart from its name: if it changes, it is another aggregation (contract, section 2). */
import { createHash } from 'node:crypto'
import { fieldsOf, parseExpression } from './expression.ts'
import { scalesOf } from './fields.ts'
import { DEFAULT_MAX_PAST_SKEW, MAX_IDENTIFIER } from './limits.ts'
import { perOf } from './per.ts'
import { decimalsOf } from './rounding.ts'
import type { Aggregation, Field, Measure, SalesPipeline, Spec } from './schema.ts'
import { parseDuration } from './units.ts'

/**
 * Returns a SHA-256 of window, group-by, measures and the mapping of what they use: the event's time, its lines and the
 * fields named. It leaves out other fields, so that fields can be added, and lateness, horizons and retention.
 */
export function aggregationIdentity(spec: Spec, aggregation: Aggregation): string {
  const { groupBy, measures } = aggregation
  const { time, explode } = spec.event
  const used = new Set([...groupBy, ...measures.flatMap(fieldsOfMeasure)])
  const fields = [spec.event.fields, explode?.fields ?? []].map(list =>
    list.filter(f => used.has(f.name)).map(hashedField),
  )
  const event = { time: hashedTime(time, true), lines: explode?.path, fields }
  return hash({
    event,
    window: aggregation.window ?? spec.window,
    groupBy,
    measures: hashedMeasures(spec, aggregation),
  })
}

/**
 * Returns what gives a field the value that is aggregated. `rounding`, and `blankAsNull` of a type other than string, only
 * decide about records that are dead without them, so they can be changed.
 */
function hashedField({ rounding: _, blankAsNull, ...mapping }: Field): object {
  return mapping.type === 'string' && blankAsNull ? { ...mapping, blankAsNull } : mapping
}

/**
 * Returns what gives an event its time, as releases up to 0.3.0 stored it. `widened`: without what only decides which records
 * are dead. So notBefore is left out, and iso8601 counts as rfc3339, because it gives every text that rfc3339 accepts the same
 * time.
 */
function hashedTime({ format, notBefore, ...mapping }: Spec['event']['time'], widened: boolean): object {
  const time = widened ? mapping : { ...mapping, notBefore }
  const named = format ?? (time.formats ? undefined : 'rfc3339')
  return { ...time, format: widened && named === 'iso8601' ? 'rfc3339' : named }
}

/**
 * Returns what identifies the measures. Those that releases up to 0.3.0 also had keep the identity that these stored: they
 * knew neither `roundEach` nor `per`, rounded each event, and added each line.
 */
function hashedMeasures(spec: Spec, { measures }: Aggregation): object[] {
  const scaleOf = scalesOf(spec)
  return measures.map(measure => {
    const { roundEach, per: _, ...known } = measure
    const rounding = decimalsOf(measure, scaleOf).rounding === 'once' ? { roundEach } : {}
    return { ...known, ...hashedPer(measure), ...rounding }
  })
}

function hashedPer(measure: Measure): object {
  if (perOf(measure) === 'lines') return {}
  return measure.op === 'count' ? { of: 'events' } : { per: 'events' }
}

function fieldsOfMeasure({ op, of }: Measure): string[] {
  return op === 'count' || of === undefined ? [] : fieldsOf(parseExpression(of))
}

/** Returns a SHA-256 of everything that the engine's results depend on. A new value is a new generation of the spec history. */
export function specIdentity(spec: Spec): string {
  const { window, allowedLateness, deduplication, raw } = spec
  const watermark = hashedWatermark(spec.watermark)
  const event = { ...spec.event, time: hashedTime(spec.event.time, false) }
  const aggregations = spec.aggregations.map(a => ({ ...a, measures: hashedMeasures(spec, a) }))
  return hash({ event, window, watermark, allowedLateness, aggregations, deduplication, raw })
}

/** The default of maxPastSkew is left out, because releases up to 0.3.0 did not have it. It changes no result. */
function hashedWatermark({ maxPastSkew, ...known }: Spec['watermark']): object {
  return maxPastSkew === parseDuration(DEFAULT_MAX_PAST_SKEW) ? known : { ...known, maxPastSkew }
}

/** Returns `namespace/name`. All stored data carries it, so that a pipeline never touches the data of another. */
export function pipelineKey({ metadata: { namespace, name } }: SalesPipeline): string {
  return `${namespace}/${name}`
}

/**
 * Names of the PostgreSQL schema that the pipeline owns. `name`: the one in the spec, or the one that a new schema gets.
 * `former`: the name that releases up to 0.3.0 gave, if it differs. It was cut, or also that of another pipeline. `owner`:
 * the mark of the pipeline's schema.
 */
export type SchemaNames = { name: string; former: string | null; owner: string }

const HASH_DIGITS = 8

/**
 * In the namespace `default`, the schema has the name of the pipeline, with `_` instead of `-`. In other namespaces, that
 * would not be unique: shop-a/b, shop/a-b and default/shop-a-b would all get shop_a_b. So a hash makes the name unique.
 */
export function schemaNames(pipeline: SalesPipeline): SchemaNames {
  const { name, namespace } = pipeline.metadata
  const { schema } = pipeline.spec.sinks.postgres
  const owner = pipelineKey(pipeline)
  if (schema !== undefined) return { name: schema, former: null, owner }
  const underscored = (text: string) => text.replaceAll('-', '_')
  if (namespace === 'default') return { name: underscored(name), former: null, owner }
  const plain = underscored(`${namespace}_${name}`)
  const suffix = `_${createHash('sha256').update(owner).digest('hex').slice(0, HASH_DIGITS)}`
  return {
    name: plain.slice(0, MAX_IDENTIFIER - suffix.length) + suffix,
    former: plain.slice(0, MAX_IDENTIFIER),
    owner,
  }
}

function hash(value: unknown): string {
  return createHash('sha256').update(canonical(value)).digest('hex')
}

/** Returns JSON with sorted keys, so that the order of a YAML file's fields does not matter. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  const entries = Object.entries(value)
    .filter(([, v]) => v !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${entries.map(([k, v]) => `${JSON.stringify(k)}:${canonical(v)}`).join(',')}}`
}
