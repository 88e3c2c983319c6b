/**
 * Real servers for tests. Shared servers start on first use and run until the run ends (global-setup.ts). `own…` starts a
 * server with fresh data for a test that kills it; its `stop` removes both.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Admin } from '@platformatic/kafka'
import pg from 'pg'
import { startElasticsearch } from '#local/services/elasticsearch.ts'
import { startKafka } from '#local/services/kafka.ts'
import { startPostgres } from '#local/services/postgres.ts'
import type { ServerOptions, ServerProcess } from '#local/services/process.ts'
import { startApiServer } from './api-server.ts'

export type PostgresAddress = { host: string; port: number; user: string; password: string }
export type Database = PostgresAddress & { database: string; url: string }

/** Resolves with the address of a server from the global setup, which starts it if needed. */
async function shared<T>(name: string): Promise<T> {
  const broker = process.env.TEST_SERVICES
  if (!broker)
    throw new Error('TEST_SERVICES is not set; run the tests with `npm test` or vitest, which start the servers')
  const response = await fetch(`${broker}/${name}`)
  if (!response.ok) throw new Error(await response.text())
  return (await response.json()) as T
}

export const kafka = () => shared<{ bootstrap: string }>('kafka')
export const elasticsearch = () => shared<{ url: string }>('elasticsearch')

export async function postgres(): Promise<
  PostgresAddress & { url: string; createDatabase(name?: string): Promise<Database> }
> {
  const address = await shared<PostgresAddress & { url: string }>('postgres')
  return { ...address, createDatabase: (name = unique('db')) => createDatabase(address, name) }
}

export async function createDatabase({ host, port, user, password }: PostgresAddress, name: string): Promise<Database> {
  const client = new pg.Client({ host, port, user, password, database: 'postgres' })
  await client.connect()
  try {
    await client.query(`CREATE DATABASE ${pg.escapeIdentifier(name)}`)
  } finally {
    await client.end()
  }
  return { host, port, user, password, database: name, url: `postgres://${user}:${password}@${host}:${port}/${name}` }
}

let namesCreated = 0
/** Returns a name that no other test uses; it is a valid identifier, topic and index. */
export function unique(prefix: string): string {
  return `${prefix}_${process.pid}_${Date.now().toString(36)}_${namesCreated++}`
}

export async function createTopic(
  bootstrap: string,
  topic: string,
  partitions: number,
  configs: Record<string, string> = {},
): Promise<void> {
  const admin = new Admin({ clientId: 'test', bootstrapBrokers: bootstrap.split(',') })
  try {
    const settings = Object.entries(configs).map(([name, value]) => ({ name, value }))
    await admin.createTopics({ topics: [topic], partitions, replicas: -1, configs: settings })
  } finally {
    await admin.close()
  }
}

/** Creates a folder that servers can use although they run as another user. */
export function temporaryFolder(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `sales-pipeline-${name}-`))
  chmodSync(folder, 0o755)
  return folder
}

type Start<T> = (options: ServerOptions) => Promise<T>

async function owned<T extends ServerProcess>(name: string, start: Start<T>): Promise<T & { dataDir: string }> {
  const dataDir = temporaryFolder(name)
  const server = await start({ dataDir, temporary: true })
  const stop = server.stop.bind(server)
  server.stop = async () => {
    await stop()
    rmSync(dataDir, { recursive: true, force: true })
  }
  return Object.assign(server, { dataDir })
}

export const ownKafka = (name: string) => owned(name, startKafka)
export const ownPostgres = (name: string) => owned(name, startPostgres)
export const ownApiServer = (name: string) => owned(name, startApiServer)
export const ownElasticsearch = (name: string) => owned(name, startElasticsearch)
