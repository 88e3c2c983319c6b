/**
 * Real servers for tests. The shared ones are started on first demand and live until the run ends (global-setup.ts
 * holds them); `own…` starts one for a test that kills it, on a fresh folder, and the test stops it.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import { Admin } from '@platformatic/kafka'
import pg from 'pg'
import { startElasticsearch } from '#local/services/elasticsearch.ts'
import { startKafka } from '#local/services/kafka.ts'
import { startPostgres } from '#local/services/postgres.ts'
import type { ServerProcess } from '#local/services/process.ts'

export type PostgresAddress = { host: string; port: number; user: string; password: string }
export type Database = PostgresAddress & { database: string; url: string }

/** Asks the run's global setup, which starts the server if it does not run yet. */
async function shared<T>(name: string): Promise<T> {
  const broker = process.env.TEST_SERVICES
  if (!broker) throw new Error('run the tests with `npm test` or vitest: its global setup starts the servers')
  const answer = await fetch(`${broker}/${name}`)
  if (!answer.ok) throw new Error(await answer.text())
  return (await answer.json()) as T
}

export const kafka = () => shared<{ bootstrap: string }>('kafka')
export const elasticsearch = () => shared<{ url: string }>('elasticsearch')

export async function postgres(): Promise<PostgresAddress & { createDatabase(name?: string): Promise<Database> }> {
  const address = await shared<PostgresAddress>('postgres')
  return { ...address, createDatabase: (name = unique('db')) => createDatabase(address, name) }
}

export async function createDatabase(address: PostgresAddress, name: string): Promise<Database> {
  const client = new pg.Client({ ...address, database: 'postgres' })
  await client.connect()
  await client.query(`CREATE DATABASE ${pg.escapeIdentifier(name)}`)
  await client.end()
  const { host, port, user, password } = address
  return { ...address, database: name, url: `postgres://${user}:${password}@${host}:${port}/${name}` }
}

let made = 0
/** A name that no other test uses: also a valid identifier, topic and index. */
export function unique(prefix: string): string {
  return `${prefix}_${process.pid}_${Date.now().toString(36)}_${made++}`
}

export async function createTopic(bootstrap: string, topic: string, partitions: number, configs: Record<string, string> = {}): Promise<void> {
  const admin = new Admin({ clientId: 'test', bootstrapBrokers: [bootstrap] })
  try {
    await admin.createTopics({ topics: [topic], partitions, replicas: 1, configs: Object.entries(configs).map(([name, value]) => ({ name, value })) })
  } finally {
    await admin.close()
  }
}

type Owned<T> = T & { dataDir: string }

async function owned<T extends ServerProcess>(name: string, start: (dataDir: string) => Promise<T>): Promise<Owned<T>> {
  const dataDir = mkdtempSync(join(tmpdir(), `${name}-`))
  chmodSync(dataDir, 0o755) // servers that refuse root run under another user
  const server = await start(dataDir)
  const stop = server.stop.bind(server)
  server.stop = async () => {
    await stop()
    rmSync(dataDir, { recursive: true, force: true })
  }
  return Object.assign(server, { dataDir })
}

export const ownKafka = (name: string) => owned(name, dataDir => startKafka({ dataDir }))
export const ownPostgres = (name: string) => owned(name, dataDir => startPostgres({ dataDir }))
export const ownElasticsearch = (name: string) => owned(name, dataDir => startElasticsearch({ dataDir }))
