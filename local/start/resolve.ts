/** The file as the children run it: the same document with the endpoints of local servers and the flags' load. Pure. */
import { Document, parseDocument, visit } from 'yaml'
import { parsePipeline } from '#pipeline/parse.ts'
import type { SalesPipeline, Spec } from '#pipeline/schema.ts'
import type { LoadOverrides } from './options.ts'

export type LocalEndpoints = {
  /** host:port. */
  kafka: string
  postgres: { host: string; port: number }
  /** A URL; empty where the file has no Elasticsearch. */
  elasticsearch: string
}

export type Resolved = {
  pipeline: SalesPipeline
  text: string
  /** One line for each endpoint that was put in the place of another. */
  replacements: string[]
}

/**
 * `endpoints` null: the file's are kept (--external). Throws SpecError when the result is not valid; `text` itself must
 * have passed parsePipeline.
 */
export function resolvePipeline(
  text: string,
  file: string,
  endpoints: LocalEndpoints | null,
  load: LoadOverrides,
): Resolved {
  const { spec } = parsePipeline(text, file)
  const document = editable(text)
  const replacements = endpoints ? replaceEndpoints(document, spec, endpoints) : []
  for (const [path, value] of loadSettings(load)) document.setIn(['spec', 'load', ...path], value)
  const resolved = String(document)
  return { pipeline: parsePipeline(resolved, file), text: resolved, replacements }
}

/** Setting a field does not reach through an alias: where there are any, they are written out first. */
function editable(text: string): Document {
  const document = parseDocument(text)
  let aliases = false
  visit(document, {
    Alias: () => {
      aliases = true
    },
  })
  return aliases ? new Document(document.toJS(), { aliasDuplicateObjects: false }) : document
}

function replaceEndpoints(
  document: Document,
  spec: Spec,
  { kafka, postgres, elasticsearch }: LocalEndpoints,
): string[] {
  const { source, sinks } = spec
  const lines = [`${source.bootstrapServers.join(', ')} → ${kafka}`]
  document.setIn(['spec', 'source', 'bootstrapServers'], [kafka])
  lines.push(...leaveOut(document, ['spec', 'source'], ['tls', 'sasl']))

  lines.push(`${sinks.postgres.host}:${sinks.postgres.port} → ${postgres.host}:${postgres.port}`)
  document.setIn(['spec', 'sinks', 'postgres', 'host'], postgres.host)
  document.setIn(['spec', 'sinks', 'postgres', 'port'], postgres.port)
  lines.push(...leaveOut(document, ['spec', 'sinks', 'postgres'], CREDENTIALS))

  if (!sinks.elasticsearch) return lines
  lines.push(`${sinks.elasticsearch.nodes.join(', ')} → ${elasticsearch}`)
  document.setIn(['spec', 'sinks', 'elasticsearch', 'nodes'], [elasticsearch])
  lines.push(...leaveOut(document, ['spec', 'sinks', 'elasticsearch'], CREDENTIALS))
  return lines
}

const CREDENTIALS = ['tls', 'usernameSecretRef', 'passwordSecretRef']

/** Servers on loopback have neither TLS nor the file's Secrets. */
function leaveOut(document: Document, at: string[], names: string[]): string[] {
  const gone = names.filter(name => document.deleteIn([...at, name]))
  return gone.length > 0 ? [`${at.join('.')}: no ${gone.join(', ')}`] : []
}

function loadSettings({ rate, seed, disorder, lateness, duplicates, malformed }: LoadOverrides): [string[], number][] {
  const settings: [string[], number | undefined][] = [
    [['rate'], rate],
    [['seed'], seed],
    [['disorder', 'fraction'], disorder],
    [['lateness', 'fraction'], lateness],
    [['duplicates', 'fraction'], duplicates],
    [['malformed', 'fraction'], malformed],
  ]
  return settings.filter((setting): setting is [string[], number] => setting[1] !== undefined)
}
