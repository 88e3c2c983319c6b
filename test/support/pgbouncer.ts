/** Debian's PgBouncer in front of a PostgreSQL server of the tests. */
import { globSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import pg from 'pg'
import { unprivilegedUser } from '#local/services/host.ts'
import { ServerProcess, stablePort } from '#local/services/process.ts'
import { debianPackages } from './debian-package.ts'
import { type PostgresAddress, temporaryFolder } from './services.ts'

const HOST = '127.0.0.1'

export type PoolMode = 'session' | 'transaction' | 'statement'
export type Pgbouncer = ServerProcess & { host: string; port: number }

/** `servers`: connections to PostgreSQL for each database; fewer than those of the clients, so that they are shared. */
export async function startPgbouncer(
  server: PostgresAddress,
  { mode, servers, port }: { mode: PoolMode; servers: number; port?: number },
): Promise<Pgbouncer> {
  const folder = await debianPackages('pgbouncer', 'libc-ares2')
  const command = join(folder, 'usr/sbin/pgbouncer')
  const [library] = globSync(join(folder, 'usr/lib/*/libcares.so.2'))
  const dataDir = temporaryFolder('pgbouncer')
  const listening = await stablePort(dataDir, 'pgbouncer', port)
  const file = join(dataDir, 'pgbouncer.ini')
  writeFileSync(join(dataDir, 'users.txt'), `"${server.user}" "${server.password}"\n`)
  writeFileSync(
    file,
    `[databases]
* = host=${server.host} port=${server.port}
[pgbouncer]
listen_addr = ${HOST}
listen_port = ${listening}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = ${join(dataDir, 'users.txt')}
pool_mode = ${mode}
default_pool_size = ${servers}
max_client_conn = 500
; each test has its own database, and the server has few connections
server_idle_timeout = 1
`,
  )
  const address = { host: HOST, port: listening, user: server.user, password: server.password }
  const process = new ServerProcess({
    name: 'pgbouncer',
    dataDir,
    temporary: true,
    prepare: async () => ({
      command,
      args: [file],
      env: { LD_LIBRARY_PATH: dirname(library!) },
      cwd: dataDir,
      user: unprivilegedUser([command, dataDir]),
      port: listening,
      stopSignal: 'SIGINT',
    }),
    isReady: () => isReady(address),
    readyWithinMs: 30_000,
  })
  await process.start()
  const stop = process.stop.bind(process)
  process.stop = async () => {
    await stop()
    rmSync(dataDir, { recursive: true, force: true })
  }
  return Object.assign(process, { host: HOST, port: listening })
}

async function isReady(address: PostgresAddress): Promise<boolean> {
  const client = new pg.Client({ ...address, database: 'postgres' })
  client.on('error', () => {})
  await client.connect()
  await client.query('SELECT 1')
  await client.end()
  return true
}
