/** Resolves the document that workers and load generator run: with local endpoints and load flags. Pure. */
import { Document, visit } from 'yaml'
import { parsePipeline } from '#pipeline/parse.ts'
import type { SalesPipeline, Spec } from '#pipeline/schema.ts'
import { parseYaml, plainValue } from '#pipeline/yaml.ts'
import type { LoadOverrides } from './options.ts'

export type LocalEndpoints = {
  /** host:port. */
  kafka: string
  postgres: { host: string; port: number }
  /** A URL; empty if the file has no Elasticsearch. */
  elasticsearch: string
}

export type Resolved = {
  pipeline: SalesPipeline
  text: string
  /** One line for each endpoint that was replaced and each section whose settings were removed. */
  replacements: string[]
}

/**
 * With `endpoints` null, the file's endpoints are kept (--external). Throws SpecError when the file or the result is not
 * valid.
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

/** Returns a document whose fields can be set. A field behind an alias cannot be set, so aliases are expanded. */
function editable(text: string): Document {
  const yaml = parseYaml(text)
  const { document } = yaml
  let aliases = false
  visit(document, {
    Alias: () => {
      aliases = true
    },
  })
  return aliases ? new Document(plainValue(yaml), { aliasDuplicateObjects: false }) : document
}

function replaceEndpoints(
  document: Document,
  spec: Spec,
  { kafka, postgres, elasticsearch }: LocalEndpoints,
): string[] {
  const { source, sinks } = spec
  const lines = [`using ${kafka} instead of ${source.bootstrapServers.join(', ')}`]
  document.setIn(['spec', 'source', 'bootstrapServers'], [kafka])
  lines.push(...removeSettings(document, ['spec', 'source'], ['tls', 'sasl']))

  lines.push(`using ${postgres.host}:${postgres.port} instead of ${sinks.postgres.host}:${sinks.postgres.port}`)
  document.setIn(['spec', 'sinks', 'postgres', 'host'], postgres.host)
  document.setIn(['spec', 'sinks', 'postgres', 'port'], postgres.port)
  lines.push(...removeSettings(document, ['spec', 'sinks', 'postgres'], [...CREDENTIALS, 'readers']))

  if (!sinks.elasticsearch) return lines
  lines.push(`using ${elasticsearch} instead of ${sinks.elasticsearch.nodes.join(', ')}`)
  document.setIn(['spec', 'sinks', 'elasticsearch', 'nodes'], [elasticsearch])
  lines.push(...removeSettings(document, ['spec', 'sinks', 'elasticsearch'], CREDENTIALS))
  return lines
}

const CREDENTIALS = ['tls', 'usernameSecretRef', 'passwordSecretRef']

/** Local servers have neither TLS nor the file's Secrets and roles. */
function removeSettings(document: Document, at: string[], names: string[]): string[] {
  const removed = names.filter(name => document.deleteIn([...at, name]))
  return removed.length > 0
    ? [`ignoring ${removed.join(', ')} in ${at.join('.')}: the local servers do not use these settings`]
    : []
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
