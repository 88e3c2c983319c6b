import { execFileSync } from 'node:child_process'
import { readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { Admin } from '@platformatic/kafka'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ElasticsearchServer, startElasticsearch } from '#local/services/elasticsearch.ts'
import {
  classesIn,
  type KafkaServer,
  launchKafka,
  prepareKafka,
  singleNode,
  startKafka,
} from '#local/services/kafka.ts'
import { isAlive } from '#local/services/lock.ts'
import { type PostgresServer, startPostgres } from '#local/services/postgres.ts'
import { javaCommand } from '#local/services/prerequisites.mjs'
import type { ServerProcess } from '#local/services/process.ts'
import { createTopic, temporaryFolder } from '#test/support/services.ts'

/** Elasticsearch needs minutes to start on a busy machine, and these tests start a server more than once. */
const TIMEOUT_MS = 900_000

const folders: string[] = []
const running: ServerProcess[] = []
function folder(name: string): string {
  folders.push(temporaryFolder(name))
  return folders.at(-1)!
}
function track<T extends ServerProcess>(server: T): T {
  running.push(server)
  return server
}

afterAll(async () => {
  await Promise.all(running.map(server => server.kill()))
  for (const path of folders) rmSync(path, { recursive: true })
})

describe('PostgreSQL', () => {
  let server: PostgresServer
  const query = async (text: string) => {
    const client = new pg.Client({ ...pick(server), database: 'postgres' })
    await client.connect()
    try {
      return (await client.query(text)).rows
    } finally {
      await client.end()
    }
  }
  const pick = ({ host, port, user, password }: PostgresServer) => ({ host, port, user, password })

  beforeAll(async () => {
    server = track(await startPostgres({ dataDir: folder('pg'), temporary: true }))
    await query('CREATE TABLE kept AS SELECT 1 AS n')
  })

  it('keeps its rows, port and password when it is killed and restarted', async () => {
    const before = pick(server)
    const { pid } = server
    await server.kill()
    expect(isAlive(pid)).toBe(false)
    await expect(query('SELECT 1')).rejects.toThrow('ECONNREFUSED')
    await server.start()
    expect(pick(server)).toEqual(before)
    expect(await query('SELECT n FROM kept')).toEqual([{ n: 1 }])
    expect(server.pid).not.toBe(pid)
  })

  it('stops while clients are connected', async () => {
    const client = new pg.Client({ ...pick(server), database: 'postgres' })
    client.on('error', () => {})
    await client.connect()
    const { pid } = server
    await server.stop()
    expect(isAlive(pid)).toBe(false)
    expect(await server.exited).toContain('database system is shut down')
    await server.start()
    expect(await query('SELECT n FROM kept')).toEqual([{ n: 1 }])
  })

  it('runs with fsync, accepts only the password of its folder, and keeps that readable for its owner only', async () => {
    expect(await query('SHOW fsync')).toEqual([{ fsync: 'on' }])
    expect(await query('SHOW listen_addresses')).toEqual([{ listen_addresses: '127.0.0.1' }])
    const stranger = new pg.Client({ ...pick(server), password: 'guess', database: 'postgres' })
    await expect(stranger.connect()).rejects.toThrow('password authentication failed')
    const file = join(server.logFile, '../password')
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(readFileSync(file, 'utf8')).toBe(server.password)
  })
})

describe('Kafka', () => {
  it(
    'keeps its topics when it is killed, stopped, and started again on the same folder',
    async () => {
      const dataDir = folder('kafka')
      const first: KafkaServer = track(await startKafka({ dataDir, temporary: true }))
      await createTopic(first.bootstrap, 'kept', 3)
      expect(await partitionsOf(first.bootstrap, 'kept')).toBe(3)
      await first.kill()
      await first.start()
      expect(await partitionsOf(first.bootstrap, 'kept')).toBe(3)
      const { pid } = first
      await first.stop()
      expect(isAlive(pid)).toBe(false)
      const second = track(await startKafka({ dataDir, temporary: true }))
      expect(second.bootstrap).toBe(first.bootstrap)
      expect(await partitionsOf(second.bootstrap, 'kept')).toBe(3)
      await second.stop()
    },
    TIMEOUT_MS,
  )

  it(
    'starts from an archive of its classes that the JVM accepts',
    async () => {
      const jars = await prepareKafka(() => {})
      const archive = `-XX:SharedArchiveFile=${classesIn(jars)}`
      const { args } = await launchKafka(jars, folder('archive'), 9092, singleNode(9092, 9093))
      expect(args).toContain(archive)
      // The JVM ends with an error if it cannot use the archive.
      const version = ['-Xshare:on', archive, '-cp', join(jars, '*'), 'kafka.Kafka', '--version']
      expect(execFileSync(javaCommand(), version, { encoding: 'utf8' })).toMatch(/^\d+\.\d+\.\d+/)
    },
    TIMEOUT_MS,
  )

  async function partitionsOf(bootstrap: string, topic: string): Promise<number | undefined> {
    const admin = new Admin({ clientId: 'test', bootstrapBrokers: [bootstrap] })
    try {
      return (await admin.metadata({ topics: [topic] })).topics.get(topic)?.partitionsCount
    } finally {
      await admin.close()
    }
  }
})

describe('Elasticsearch', () => {
  it(
    'keeps its documents when it is killed, and stops cleanly',
    async () => {
      const server: ElasticsearchServer = track(await startElasticsearch({ dataDir: folder('es'), temporary: true }))
      const { url, pid } = server
      const document = `${url}/kept/_doc/1`
      const put = await fetch(document, {
        method: 'PUT',
        body: '{"n":1}',
        headers: { 'content-type': 'application/json' },
      })
      expect(put.status).toBe(201)
      await server.kill()
      expect(isAlive(pid)).toBe(false)
      await server.start()
      expect(await (await fetch(document)).json()).toMatchObject({ _source: { n: 1 } })
      await server.stop()
      await expect(fetch(document)).rejects.toThrow()
    },
    TIMEOUT_MS,
  )
})
