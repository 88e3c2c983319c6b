import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseDocument } from 'yaml'

export const PARTITIONS = 6
const EXAMPLE = resolve(import.meta.dirname, '../../k8s/examples/ecommerce.yaml')

type Addresses = {
  kafka: { bootstrap: string }
  postgres: { host: string; port: number }
  elasticsearch: { url: string } | null
}

export function schemaOf(specText: string): string {
  return String(parseDocument(specText).getIn(['metadata', 'name'])).replaceAll('-', '_')
}

/** Returns the e-commerce example with faulty input and short windows, so that a short run has every verdict. */
export function specFor(name: string, { kafka, postgres, elasticsearch }: Addresses): string {
  const document = parseDocument(readFileSync(EXAMPLE, 'utf8'))
  document.setIn(['metadata', 'name'], name)
  document.setIn(['spec', 'source', 'bootstrapServers'], kafka.bootstrap.split(','))
  document.setIn(['spec', 'source', 'partitions'], PARTITIONS)
  document.setIn(['spec', 'window'], { type: 'tumbling', size: '5s' })
  document.setIn(['spec', 'watermark'], { outOfOrderness: '2s', idleTimeout: '2s', maxFutureSkew: '5m' })
  document.setIn(['spec', 'allowedLateness'], '1s')
  document.setIn(['spec', 'raw'], { table: 'sales_raw' })
  document.setIn(['spec', 'sinks', 'postgres', 'host'], postgres.host)
  document.setIn(['spec', 'sinks', 'postgres', 'port'], postgres.port)
  if (elasticsearch) document.setIn(['spec', 'sinks', 'elasticsearch', 'nodes'], [elasticsearch.url])
  else document.deleteIn(['spec', 'sinks', 'elasticsearch'])
  // The servers are on loopback: users come from the environment, and nothing is encrypted.
  for (const sink of elasticsearch ? ['postgres', 'elasticsearch'] : ['postgres'])
    for (const name of ['usernameSecretRef', 'passwordSecretRef', 'tls'])
      document.deleteIn(['spec', 'sinks', sink, name])
  document.setIn(['spec', 'load'], {
    profile: 'ecommerce',
    disorder: { fraction: 0.2, max: '2s' },
    lateness: { fraction: 0.02, by: '30s' },
    duplicates: { fraction: 0.05, within: '1s' },
    malformed: { fraction: 0.02 },
  })
  return String(document)
}
