/** Client certificates are checked before the first connection, with errors that name field, Secret and key. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { clientTls } from '#common/client-certificate.ts'
import { redactText } from '#common/redact.ts'
import { postgresConnection } from '#common/store-connections.ts'
import { checkPipeline } from '#pipeline/parse.ts'
import { secretsFrom } from '#pipeline/secrets.ts'
import { documentWith } from '../pipeline/documents.ts'
import { Certificates } from '../support/certificates.ts'

const folder = mkdtempSync(join(tmpdir(), 'client-certificate-'))
afterAll(() => rmSync(folder, { recursive: true }))
const certificates = new Certificates(folder)
certificates.issue('ca', { name: 'ca' })
certificates.issue('user', { name: 'shop', ca: 'ca' })
certificates.issue('other', { name: 'other', ca: 'ca' })
const cert = certificates.pem('user.crt')
const key = certificates.pem('user.key')

const DAY_MS = 86_400_000
const REF = { name: 'shop-user', certificate: 'user.crt', key: 'user.key' }
const BLOCK = { enabled: true, clientCertSecretRef: REF }
const envOf = (secret: { cert?: string; key?: string }) => ({
  SECRET_SHOP_USER_USER_CRT: secret.cert,
  SECRET_SHOP_USER_USER_KEY: secret.key,
})
const read = (secret: { cert?: string; key?: string }, now = Date.now()) =>
  clientTls(BLOCK, 'spec.source.tls', secretsFrom(envOf(secret)), now)

describe('a client certificate', () => {
  it('reads a client certificate with its private key, which no text then shows', () => {
    expect(read({ cert, key })).toEqual({ cert, key })
    expect(redactText(`sent ${key}`)).toBe('sent [redacted]')
  })

  it('does not read a client certificate if the block is disabled', () => {
    expect(clientTls({ ...BLOCK, enabled: false }, 'spec.source.tls', secretsFrom({}))).toBeNull()
  })

  it.each([
    [{ key }, /SECRET_SHOP_USER_USER_CRT is not set; set it to the value of key user\.crt of Secret shop-user/],
    [{ cert }, /SECRET_SHOP_USER_USER_KEY is not set/],
    [{ cert: 'text', key }, /^spec\.source\.tls\.clientCertSecretRef: key user\.crt of Secret shop-user is not a cert/],
    [
      { cert, key: 'text' },
      /clientCertSecretRef: key user\.key of Secret shop-user is not a private key in PEM format/,
    ],
    [{ cert, key: certificates.pem('other.key') }, /\(user\.key\) does not belong to the certificate \(user\.crt\) of/],
  ])('refuses a client certificate with an error that names the field: %#', (secret, message) => {
    expect(() => read(secret)).toThrow(message)
  })

  it('refuses a client certificate outside its period of validity', () => {
    const expired = /certificate \(user\.crt\) of Secret shop-user expired at 20\S+Z; renew it/
    expect(() => read({ cert, key }, Date.now() + 3 * DAY_MS)).toThrow(expired)
    expect(() => read({ cert, key }, Date.now() - DAY_MS)).toThrow(/is valid only from 20/)
  })
})

describe('PostgreSQL', () => {
  const spec = (postgres: object) => checkPipeline(documentWith({ 'spec.sinks': { postgres } })).spec
  const tls = { clientCertSecretRef: { name: 'pg' } }
  const env = { SECRET_PG_TLS_CRT: cert, SECRET_PG_TLS_KEY: key }

  it('gets the certificate of a Secret of the type kubernetes.io/tls, and its common name as the user', () => {
    expect(postgresConnection(spec({ tls }), env)).toMatchObject({ user: 'shop', ssl: { cert, key } })
  })

  it('gets the user of the document first', () => {
    const usernameSecretRef = { name: 'login', key: 'user' }
    const connection = postgresConnection(spec({ tls, usernameSecretRef }), { ...env, SECRET_LOGIN_USER: 'writer' })
    expect(connection).toMatchObject({ user: 'writer', password: undefined })
  })
})
