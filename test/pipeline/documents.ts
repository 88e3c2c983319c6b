import { parseDocument } from 'yaml'
import type { SalesPipeline } from '#pipeline/schema.ts'

/** A document with the required fields only. */
export const MINIMAL = `
apiVersion: salespipeline.dev/v1alpha1
kind: SalesPipeline
metadata: { name: sales }
spec:
  source: { topic: sales }
  event:
    time: { path: at }
    fields:
      - { name: store }
      - { name: amount, type: decimal }
      - { name: quantity, type: number }
      - { name: note, optional: true }
  aggregations:
    - { name: by_store, groupBy: [store], measures: [{ name: orders, op: count }, { name: revenue, op: sum, of: amount }] }
`

type Path = (string | number)[]
/** Parses a path such as `a.b[0].c`, the format of messages. */
const pathOf = (text: string): Path => (text.match(/[^.[\]]+/g) ?? []).map(part => (/^\d+$/.test(part) ? +part : part))

/** Returns the minimal document as an object with `changes` by path; undefined removes a field. */
export function documentWith(changes: Record<string, unknown>): unknown {
  const document = parseDocument(MINIMAL)
  for (const [path, value] of Object.entries(changes))
    if (value === undefined) document.deleteIn(pathOf(path))
    else document.setIn(pathOf(path), document.createNode(value))
  return document.toJS()
}

/** Returns the pipeline as release 0.3.0 stored it, which knew neither limit. So an upgrade begins a new generation. */
export function withoutLimits(pipeline: SalesPipeline): SalesPipeline {
  const copy = structuredClone(pipeline) as { spec: { event: { time: object; explode?: object } } }
  const { time, explode } = copy.spec.event as { time: { notBefore?: string }; explode?: { maxLines?: number } }
  delete time.notBefore
  if (explode) delete explode.maxLines
  return copy as SalesPipeline
}

/** Returns the document with the defaults of addresses in writing, because they are required on Kubernetes. */
export function onCluster(document: unknown): unknown {
  const copy = structuredClone(document) as { spec?: unknown }
  const { spec } = copy
  if (!isMapping(spec)) return copy
  fill(spec.source, 'bootstrapServers', ['localhost:9092'])
  fill(spec, 'sinks', {})
  if (!isMapping(spec.sinks)) return copy
  fill(spec.sinks, 'postgres', {})
  fill(spec.sinks.postgres, 'host', 'localhost')
  fill(spec.sinks.elasticsearch, 'nodes', ['http://localhost:9200'])
  return copy
}

const isMapping = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function fill(mapping: unknown, field: string, value: unknown): void {
  if (isMapping(mapping) && mapping[field] === undefined) mapping[field] = value
}
