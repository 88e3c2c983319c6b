/** A PostgreSQL that admits some users only with a client certificate, over TLS. */
import { chmodSync, chownSync, copyFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { unprivilegedUser } from '#local/services/host.ts'
import { startPostgres } from '#local/services/postgres.ts'
import type { Certificates } from './certificates.ts'
import { temporaryFolder } from './services.ts'

/** `shop` needs a certificate only, `guarded` a certificate and the password of `sales`, which starts the server. */
const RULES = `hostssl all shop    127.0.0.1/32 cert
hostssl all guarded 127.0.0.1/32 scram-sha-256 clientcert=verify-full
host    all sales   127.0.0.1/32 scram-sha-256
`

/** Uses ca.crt, server.crt and server.key of `certificates`. */
export async function securedPostgres(certificates: Certificates) {
  const dataDir = temporaryFolder('secured-postgres')
  const file = (name: string) => join(dataDir, name)
  for (const name of ['ca.crt', 'server.crt', 'server.key']) copyFileSync(certificates.path(name), file(name))
  writeFileSync(file('pg_hba.conf'), RULES)
  chmodSync(file('server.key'), 0o600)
  const user = unprivilegedUser([dataDir])
  if (user) chownSync(file('server.key'), user.uid, user.gid)
  const settings = [
    'ssl=on',
    `ssl_ca_file=${file('ca.crt')}`,
    `ssl_cert_file=${file('server.crt')}`,
    `ssl_key_file=${file('server.key')}`,
    `hba_file=${file('pg_hba.conf')}`,
  ]
  const server = await startPostgres({ dataDir, temporary: true, settings })
  return {
    server,
    async stop() {
      await server.stop()
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}
