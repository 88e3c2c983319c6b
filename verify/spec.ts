/**
 * The `SalesPipeline` document as the verifier understands it: read with its own defaults, from a file (YAML) or from
 * `specs.document` (JSON). Documents were validated on admission, so this code trusts their shape.
 */
import { createHash } from 'node:crypto'
import { parse } from 'yaml'
import type { WrittenSink, WrittenSource } from './credentials.ts'
import { type Expression, naturalScale, parseExpression } from './expression.ts'
import type { SourceRule } from './sources.ts'
import { parseRfc3339 } from './time.ts'
import { bytes, milliseconds } from './units.ts'

export interface Field {
  name: string
  path: string[]
  type: 'string' | 'number' | 'decimal' | 'boolean'
  /** Decimals that a number may have. */
  scale: number
  default: string | null
  optional: boolean
  /** Whether a number with more decimals is rounded half-even. */
  rounds: boolean
  /** Whether an empty or blank text is null. */
  blankAsNull: boolean
}

/** Sizes in milliseconds. A tumbling window is a sliding one whose slide is its size. */
export interface Window {
  infinite: boolean
  size: number
  slide: number
  offset: number
}

export interface Measure {
  name: string
  op: 'count' | 'sum' | 'min' | 'max' | 'average'
  /** The expression computed for each line; null for counts. */
  of: Expression | null
  /** Whether each record is taken once per row, however many lines it has. */
  perEvent: boolean
  /** Decimals of the shown result. */
  scale: number
  /** Whether each line is rounded to `scale`, and not only the result. */
  roundEach: boolean
  /** Whether the unrounded sum is stored beside the shown result. */
  hasExactSum: boolean
}

export interface Aggregation {
  name: string
  window: Window
  allowedLateness: number
  groupBy: string[]
  measures: Measure[]
  retention: number | null
}

export interface Projection {
  aggregation: string
  index: string
  /** The index may exist without being the pipeline's own. */
  adopt: boolean
  fields: Record<string, string>
}

/** The settings that determine the rows. Durations in milliseconds. */
export interface Rules {
  id: string | null
  /** Whether 5.0 and 5e0 are the id 5. */
  integralIds: boolean
  time: {
    /** Null: the record's timestamp is the event time. */
    path: string | null
    /** Forms in the order in which they are tried: rfc3339, iso8601, epoch or a pattern. */
    formats: string[]
    /** Whether a text may be the number of an epoch. */
    epochAsText: boolean
    unit: 's' | 'ms' | 'us' | 'ns'
    zone: string | null
    /** In milliseconds since the epoch; null in generations of releases up to 0.3.0, which had no such bound. */
    notBefore: number | null
  }
  fields: Field[]
  /** Whether a dead letter names a field by its path. Generations of releases up to 0.3.0 give its name. */
  namesPaths: boolean
  explode: { path: string; fields: Field[]; maxLines: number } | null
  outOfOrderness: number
  maxFutureSkew: number
  sources: SourceRule | null
  deduplication: { horizon: number; maxIds: number } | null
  aggregations: Aggregation[]
  rawTable: string | null
}

/** A stored version of the spec. */
export interface Generation {
  number: number
  rules: Rules
}

export interface Spec {
  topic: string
  owner: string
  /** PostgreSQL schema; without a name in the document, the one that a new schema gets. */
  schema: string
  /** The name that a release up to 0.3.0 gave it, if the document has none and it differs. */
  formerSchema: string | null
  rules: Rules
  raw: { table: string; retention: number | null } | null
  lateRetention: number | null
  deadLetters: { retention: number | null; maxPayload: number; maxBytes: number }
  projections: Projection[]
}

type Duration = string | number

interface WrittenField {
  name: string
  path?: string
  type?: Field['type']
  scale?: number
  default?: string
  optional?: boolean
  rounding?: 'half-even'
  blankAsNull?: boolean
}

interface WrittenWindow {
  type?: 'tumbling' | 'sliding' | 'none'
  size?: Duration
  slide?: Duration
  offset?: Duration
}

interface WrittenAggregation {
  name: string
  window?: WrittenWindow
  allowedLateness?: Duration
  groupBy?: string[]
  measures: { name: string; op: Measure['op']; of?: string; per?: string; scale?: number; roundEach?: boolean }[]
  retention?: Duration
}

export interface WrittenDocument {
  metadata: { name: string; namespace?: string }
  spec: {
    source: { topic: string; bootstrapServers?: string[] } & WrittenSource
    event: {
      id?: string
      integralIds?: boolean
      time: {
        path?: string
        format?: 'rfc3339' | 'iso8601' | 'epoch' | 'record-timestamp'
        formats?: string[]
        unit?: 's' | 'ms' | 'us' | 'ns'
        zone?: string
        notBefore?: string
      }
      fields?: WrittenField[]
      /** Specs that releases up to 0.3.0 stored have no maxLines, and no limit. */
      explode?: { path: string; fields: WrittenField[]; maxLines?: number }
    }
    window?: WrittenWindow
    watermark?: {
      outOfOrderness?: Duration
      maxFutureSkew?: Duration
      sources?: { field: string; atLeast?: number }
    }
    allowedLateness?: Duration
    aggregations: WrittenAggregation[]
    deduplication?: { horizon?: Duration; maxIds?: number }
    raw?: { table: string; retention?: Duration }
    lateEvents?: { retention?: Duration }
    deadLetters?: { retention?: Duration; maxPayload?: string | number; maxBytes?: string | number }
    sinks?: {
      postgres?: { host?: string; port?: number; database?: string; schema?: string } & WrittenSink
      elasticsearch?: {
        projections: { aggregation: string; index: string; adopt?: boolean; fields?: Record<string, string> }[]
      } & WrittenSink
    }
  }
}

/** A longer text cannot come from a pipeline, and the parser would take very long for it. */
const MAX_LENGTH = 1_048_576

const DEFAULT_MAX_LINES = 10_000
const DEFAULT_NOT_BEFORE = '1970-01-01T00:00:00Z'

/** Parses the file of a pipeline from YAML or JSON text. */
export function readDocument(text: string): WrittenDocument {
  if (text.length > MAX_LENGTH) throw new Error(`the document has ${text.length} characters, more than ${MAX_LENGTH}`)
  // The workers refuse duplicate keys. To look for them here would compare every key with all others.
  const document = parse(text, { uniqueKeys: false }) as WrittenDocument
  // Defaults that readSpec cannot apply: stored documents have them, or come from a release without these limits.
  const { explode, time } = document?.spec?.event ?? {}
  if (explode) explode.maxLines ??= DEFAULT_MAX_LINES
  if (time) time.notBefore ??= DEFAULT_NOT_BEFORE
  return document
}

/** Returns the document with `roundEach` for all measures of the named aggregations. */
export function withRoundEach(document: WrittenDocument, aggregations: Set<string>): WrittenDocument {
  const copy = structuredClone(document)
  for (const { name, measures } of copy.spec.aggregations)
    if (aggregations.has(name)) for (const measure of measures) measure.roundEach = true
  return copy
}

/** Returns the document in which settings that it leaves out keep the defaults that release 0.3.0 stored. */
export function withFormerDefaults(document: WrittenDocument, stored: WrittenDocument | undefined): WrittenDocument {
  const before = stored?.spec.watermark ?? {}
  const watermark = { ...document.spec.watermark }
  if (before.outOfOrderness === 5000) watermark.outOfOrderness ??= 5000
  if (before.maxFutureSkew === 300_000) watermark.maxFutureSkew ??= 300_000
  return { ...document, spec: { ...document.spec, watermark } }
}

/** Returns a field of the event or of its lines. Throws when the spec has no such field. */
export function fieldNamed({ fields, explode }: Rules, name: string): Field {
  const field = [...fields, ...(explode?.fields ?? [])].find(field => field.name === name)
  if (!field) throw new Error(`the spec has no field ${name}`)
  return field
}

/** Applies the defaults and converts everything to base units. */
export function readSpec({ metadata, spec }: WrittenDocument): Spec {
  const { name, namespace = 'default' } = metadata
  return {
    topic: spec.source.topic,
    owner: `${namespace}/${name}`,
    ...schemaOf(namespace, name, spec.sinks?.postgres?.schema),
    rules: readRules(spec),
    raw: spec.raw
      ? { table: spec.raw.table, retention: optionalDuration('spec.raw.retention', spec.raw.retention) }
      : null,
    lateRetention: optionalDuration('spec.lateEvents.retention', spec.lateEvents?.retention),
    deadLetters: {
      retention: optionalDuration('spec.deadLetters.retention', spec.deadLetters?.retention),
      maxPayload: bytes('spec.deadLetters.maxPayload', spec.deadLetters?.maxPayload ?? '64Ki'),
      maxBytes: bytes('spec.deadLetters.maxBytes', spec.deadLetters?.maxBytes ?? '1Gi'),
    },
    projections: (spec.sinks?.elasticsearch?.projections ?? []).map(written => ({
      adopt: false,
      fields: {},
      ...written,
    })),
  }
}

/** PostgreSQL's names have at most 63 bytes; the engine uses 57 characters. */
const MAX_SCHEMA = 57

/** Returns the names of docs/tables.md: outside of the namespace `default`, a new schema has 8 digits of a hash. */
function schemaOf(namespace: string, name: string, written?: string): Pick<Spec, 'schema' | 'formerSchema'> {
  if (written !== undefined) return { schema: written, formerSchema: null }
  const own = name.replace(/-/g, '_')
  if (namespace === 'default') return { schema: own, formerSchema: null }
  const full = `${namespace.replace(/-/g, '_')}_${own}`
  const digest = createHash('sha256').update(`${namespace}/${name}`).digest('hex')
  return {
    schema: `${full.substring(0, MAX_SCHEMA - 9)}_${digest.substring(0, 8)}`,
    formerSchema: full.substring(0, MAX_SCHEMA),
  }
}

function optionalDuration(path: string, written: Duration | undefined): number | null {
  return written === undefined ? null : milliseconds(path, written)
}

function readExplode(written: NonNullable<WrittenDocument['spec']['event']['explode']>): Rules['explode'] {
  const { path, fields, maxLines = Number.POSITIVE_INFINITY } = written
  return { path, fields: fields.map(readField), maxLines }
}

function readRules(spec: WrittenDocument['spec']): Rules {
  const { event } = spec
  const { path = null, format = 'rfc3339', formats, unit = 'ms', zone = null, notBefore } = event.time
  const fields = (event.fields ?? []).map(readField)
  const explode = event.explode ? readExplode(event.explode) : null
  const all = [...fields, ...(explode?.fields ?? [])]
  return {
    id: event.id ?? null,
    integralIds: event.integralIds ?? false,
    time: {
      path,
      formats: formats ?? [format],
      epochAsText: formats !== undefined,
      unit,
      zone,
      notBefore: notBefore === undefined ? null : parseRfc3339(notBefore, null)!,
    },
    fields,
    namesPaths: notBefore !== undefined,
    explode,
    outOfOrderness: milliseconds('spec.watermark.outOfOrderness', spec.watermark?.outOfOrderness ?? '1m'),
    maxFutureSkew: milliseconds('spec.watermark.maxFutureSkew', spec.watermark?.maxFutureSkew ?? '30s'),
    sources: spec.watermark?.sources ? { atLeast: 2, ...spec.watermark.sources } : null,
    deduplication: spec.deduplication
      ? {
          horizon: milliseconds('spec.deduplication.horizon', spec.deduplication.horizon ?? '10m'),
          maxIds: spec.deduplication.maxIds ?? 1_000_000,
        }
      : null,
    aggregations: spec.aggregations.map(written => readAggregation(written, spec, all)),
    rawTable: spec.raw?.table ?? null,
  }
}

function readField(written: WrittenField): Field {
  const type = written.type ?? 'string'
  return {
    name: written.name,
    path: (written.path ?? written.name).split('.'),
    type,
    scale: written.scale ?? (type === 'decimal' ? 2 : 0),
    default: written.default ?? null,
    optional: written.optional ?? false,
    rounds: written.rounding === 'half-even',
    blankAsNull: written.blankAsNull ?? false,
  }
}

function readAggregation(written: WrittenAggregation, spec: WrittenDocument['spec'], fields: Field[]): Aggregation {
  const where = `aggregation ${written.name}`
  return {
    name: written.name,
    window: readWindow(`${where}: window`, written.window ?? spec.window ?? { size: '1m' }),
    allowedLateness: readLateness(`${where}: allowedLateness`, written.allowedLateness ?? spec.allowedLateness ?? 0),
    groupBy: written.groupBy ?? [],
    measures: written.measures.map(measure => readMeasure(where, measure, fields)),
    retention: optionalDuration(`${where}: retention`, written.retention),
  }
}

/** Returns Infinity for windows that accept events for ever. */
function readLateness(path: string, written: Duration): number {
  return written === 'unlimited' ? Number.POSITIVE_INFINITY : milliseconds(path, written)
}

function readWindow(path: string, { type = 'tumbling', size = '1m', slide = size, offset = 0 }: WrittenWindow): Window {
  return {
    infinite: type === 'none',
    size: milliseconds(`${path}.size`, size),
    slide: milliseconds(`${path}.slide`, type === 'sliding' ? slide : size),
    offset: milliseconds(`${path}.offset`, offset),
  }
}

function readMeasure(where: string, written: WrittenAggregation['measures'][number], fields: Field[]): Measure {
  const { name, op } = written
  if (op === 'count') {
    const perEvent = (written.per ?? written.of) === 'events'
    return { name, op, of: null, perEvent, scale: 0, roundEach: false, hasExactSum: false }
  }
  const of = parseExpression(`${where}: measure ${name}`, written.of!)
  const natural = naturalScale(of, field => fields.find(({ name }) => name === field)!.scale)
  const scale = written.scale ?? Math.min(natural, 12)
  const adds = op === 'sum' || op === 'average'
  const roundEach = adds && natural > scale && written.roundEach === true
  const hasExactSum = op === 'average' || (op === 'sum' && natural > scale && !roundEach)
  return { name, op, of, perEvent: written.per === 'events', scale, roundEach, hasExactSum }
}
