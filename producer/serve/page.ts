/** The documentation page: the route, its fields and an example. Plain HTML that loads nothing. */
import type { JsonSchema } from './event-schema.ts'
import { MAX_FAULTS } from './validation.ts'

type Settings = {
  /** Maximum number of sales in one request. */
  maxBatch: number
  /** Host and port for the example. */
  host: string
  /** Null if requests need no token. */
  authenticate: unknown
}

export function docsPage(topic: string, schema: JsonSchema, { maxBatch, host, authenticate }: Settings): string {
  const rows = fieldRows(schema, '').map(([path, required, description]) =>
    row(path, required ? 'yes' : '', description),
  )
  const token = authenticate ? "-H 'authorization: Bearer TOKEN' " : ''
  const example = JSON.stringify(exampleOf(schema), null, 2)
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Sales to ${escaped(topic)}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #ccc}
pre{background:#f4f4f4;padding:1rem;overflow:auto}</style>
<h1>POST /${escaped(topic)}</h1>
<p>Accepts one sale, or an array of at most ${maxBatch} sales, as JSON. The body may be compressed
(Content-Encoding: gzip, deflate or br). <b>202</b> means that Kafka has stored them on all in-sync replicas.
<b>400</b> lists the invalid fields, at most ${MAX_FAULTS}; then nothing of the request is sent.
On <b>429</b> and <b>503</b> send the same request again later; a sale with the same id counts once.</p>
<table><tr><th>Field</th><th>Required</th><th>Must be</th></tr>
${rows.join('\n')}
</table>
<p>Other fields are kept as they are. The machine-readable description is <a href="/openapi.json">/openapi.json</a>.</p>
<pre>curl -i ${token}-H 'content-type: application/json' ${escaped(host)}/${escaped(topic)} -d '${escaped(example)}'</pre>
</html>
`
}

/** Returns an event that the schema accepts, from the examples of its fields. */
function exampleOf(schema: JsonSchema): unknown {
  if (schema.allOf) return exampleOf((schema.allOf as JsonSchema[])[0]!)
  if (schema.type === 'array') return [exampleOf(schema.items as JsonSchema)]
  if (!schema.properties) return (schema.examples as unknown[])[0]
  const properties = Object.entries(schema.properties as Record<string, JsonSchema>)
  return Object.fromEntries(properties.map(([name, property]) => [name, exampleOf(property)]))
}

function fieldRows(schema: JsonSchema, prefix: string): [path: string, required: boolean, description: string][] {
  const required = schema.required as string[]
  return Object.entries(schema.properties as Record<string, JsonSchema>).flatMap(([name, property]) => {
    const path = prefix + name
    if (property.properties) return fieldRows(property, `${path}.`)
    const described = ((property.allOf as JsonSchema[] | undefined)?.[0] ?? property).description as string
    const own: [string, boolean, string] = [path, required.includes(name), described]
    return property.type === 'array' ? [own, ...fieldRows(property.items as JsonSchema, `${path}[].`)] : [own]
  })
}

function row(...cells: string[]): string {
  return `<tr>${cells.map(cell => `<td>${escaped(cell)}</td>`).join('')}</tr>`
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, character => `&#${character.charCodeAt(0)};`)
}
