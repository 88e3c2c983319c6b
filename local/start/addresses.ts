/** How a person reaches what a run brought up. Passwords are not shown, only where they are. */
import { join, relative } from 'node:path'
import type { PostgresConnection } from '#common/store-connections.ts'
import { schemaName } from '#pipeline/identity.ts'
import type { SalesPipeline } from '#pipeline/schema.ts'
import type { DataFolder } from './folder.ts'
import type { LocalServers } from './servers.ts'

/** Label and text of each. `servers` null: they are not ours. */
export function addressesOf(
  pipeline: SalesPipeline,
  postgres: PostgresConnection,
  servers: Pick<LocalServers, 'state'> | null,
  folder: DataFolder,
): [string, string][] {
  const { source, sinks } = pipeline.spec
  const state = (name: 'kafka' | 'postgres' | 'elasticsearch') => {
    const now = servers?.state(name) ?? 'running'
    return now === 'running' ? '' : ` (${now})`
  }
  const { host, port, user, database } = postgres
  const password = servers ? `, password in ${relative('', join(folder.postgres, 'password'))}` : ''
  const addresses: [string, string][] = [
    ['Kafka', `${source.bootstrapServers.join(',')}, topic ${source.topic}${state('kafka')}`],
    ['PostgreSQL', `psql -h ${host} -p ${port} -U ${user} ${database}${state('postgres')}`],
    ['', `schema ${schemaName(pipeline)}${password}`],
  ]
  const { elasticsearch } = sinks
  for (const { index } of elasticsearch?.projections ?? [])
    addresses.push([
      'Elasticsearch',
      `${new URL(`${index}/_search`, elasticsearch!.nodes[0])}${state('elasticsearch')}`,
    ])
  return addresses
}
