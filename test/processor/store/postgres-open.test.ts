import { describe, expect, it } from 'vitest'
import { postgresConnection } from '#common/store-connections.ts'
import { openPostgresStore } from '#processor/adapters/postgres/open.ts'
import { pipelineOf } from './fixture.ts'

const withPostgres = (postgres: string) => pipelineOf(['  sinks:', `  sinks:\n    postgres: { ${postgres} }`])

const secrets =
  'host: db, port: 6543, database: shop, usernameSecretRef: { name: pg-app, key: username }, passwordSecretRef: { name: pg-app, key: password }, tls: { caSecretRef: { name: pg-ca, key: ca.crt } }'

describe('openPostgresStore', () => {
  it('reads user, password and authority from the variables of the Secrets', () => {
    const env = {
      SECRET_PG_APP_USERNAME: 'app',
      SECRET_PG_APP_PASSWORD: 'word',
      SECRET_PG_CA_CA_CRT: 'PEM',
      PGUSER: 'me',
    }
    expect(postgresConnection(withPostgres(secrets).spec, env)).toEqual({
      host: 'db',
      port: 6543,
      database: 'shop',
      user: 'app',
      password: 'word',
      ssl: { ca: 'PEM' },
    })
  })

  it('falls back to PGUSER, PGPASSWORD and TLS with the system’s authorities', () => {
    const env = { PGUSER: 'me', PGPASSWORD: 'secret' }
    expect(postgresConnection(withPostgres('host: db').spec, env)).toMatchObject({
      user: 'me',
      password: 'secret',
      ssl: false,
    })
    expect(postgresConnection(withPostgres('host: db, tls: {}').spec, env).ssl).toEqual({})
    expect(postgresConnection(withPostgres('host: db, tls: { enabled: false }').spec, env).ssl).toBe(false)
  })

  it('names the missing variable', () => {
    expect(() =>
      openPostgresStore(withPostgres(secrets), 'w', { SECRET_PG_APP_USERNAME: 'app', SECRET_PG_CA_CA_CRT: 'PEM' }),
    ).toThrow(/SECRET_PG_APP_PASSWORD.*key password of Secret pg-app/)
    expect(() => openPostgresStore(withPostgres('host: db'), 'w', {})).toThrow(/PGUSER.*usernameSecretRef/)
  })
})
