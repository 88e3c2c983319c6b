/** How to connect to the servers of a run. Passwords are not shown, only the file that holds them. */
import { join, relative } from 'node:path'
import type { PostgresConnection } from '#common/store-connections.ts'
import type { SalesPipeline } from '#pipeline/schema.ts'
import type { DataFolder } from './folder.ts'
import type { LocalServers } from './servers.ts'

/** Returns label and text of each address. `servers` is null with --external. */
export function addressesOf(
  pipeline: SalesPipeline,
  { connection: postgres, schema }: { connection: PostgresConnection; schema: string },
  servers: Pick<LocalServers, 'state'> | null,
  folder: DataFolder,
): [string, string][] {
  const { source, sinks } = pipeline.spec
  const state = (name: 'kafka' | 'postgres' | 'elasticsearch') => {
    const current = servers?.state(name) ?? 'running'
    return current === 'running' ? '' : ` (${current})`
  }
  const { host, port, user, database } = postgres
  const password = servers ? `, password in ${relative('', join(folder.postgres, 'password'))}` : ''
  const addresses: [string, string][] = [
    ['Kafka', `${source.bootstrapServers.join(',')}, topic ${source.topic}${state('kafka')}`],
    ['PostgreSQL', `psql -h ${host} -p ${port} -U ${user} ${database}${state('postgres')}`],
    ['', `schema ${schema}${password}`],
  ]
  const { elasticsearch } = sinks
  for (const { index } of elasticsearch?.projections ?? [])
    addresses.push([
      'Elasticsearch',
      `${new URL(`${index}/_search`, elasticsearch!.nodes[0])}${state('elasticsearch')}`,
    ])
  return addresses
}
