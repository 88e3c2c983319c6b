/** Clients with JWTs, against a real server of keys. */
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type CryptoKey, exportJWK, exportSPKI, generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import { describe, expect, it, onTestFinished } from 'vitest'
import { authenticator } from '#producer/serve/auth/authenticate.ts'
import { jwtVerifier } from '#producer/serve/auth/jwt.ts'
import { openAuth } from '#producer/serve/auth/open.ts'
import { createToken, parseTokens } from '#producer/serve/auth/tokens.ts'
import { ecommerce, ecommerceSale } from '../pipelines.ts'
import { ingestApp } from './fixture.ts'

const [ISSUER, AUDIENCE, KID] = ['https://login.example', 'sales', 'key-1']
const { spec } = ecommerce('unused:9092', 'transactions')
const ours = await generateKeyPair('ES256')
const foreign = await generateKeyPair('ES256')
const rsa = await generateKeyPair('RS256')

/** Serves the keys; `respond` can be replaced. */
async function keyServer() {
  const jwk = async (key: CryptoKey, kid: string) => ({ ...(await exportJWK(key)), kid })
  const keys = [await jwk(ours.publicKey, KID), await jwk(rsa.publicKey, 'rsa')]
  const state = { status: 200, requests: 0 }
  const server = createServer((_request, response) => {
    state.requests++
    response.writeHead(state.status, { 'content-type': 'application/json' }).end(JSON.stringify({ keys }))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return { state, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys` }
}

type Changes = JWTPayload & { alg?: string; kid?: string; key?: CryptoKey }

function jwt({ alg = 'ES256', kid = KID, key = ours.privateKey, ...claims }: Changes = {}): Promise<string> {
  const seconds = Math.floor(Date.now() / 1000)
  const payload = { iss: ISSUER, aud: AUDIENCE, sub: 'shop', exp: seconds + 60, ...claims }
  return new SignJWT(payload).setProtectedHeader({ alg, kid }).sign(key)
}

const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
const bodyOf = async (token: Promise<string>) => (await token).split('.')[1]!

/** Signs with the text of the public key as the secret of HMAC, which naive libraries accept. */
async function confused(): Promise<string> {
  const signed = `${encoded({ alg: 'HS256', kid: 'rsa' })}.${await bodyOf(jwt())}`
  return `${signed}.${createHmac('sha256', await exportSPKI(rsa.publicKey))
    .update(signed)
    .digest('base64url')}`
}

async function ingest(clientClaim = 'sub') {
  const server = await keyServer()
  const own = createToken('own')
  const verifyJwt = jwtVerifier({ issuer: ISSUER, audience: AUDIENCE, jwksUrl: server.url, clientClaim })
  const tokens = parseTokens(own.line)
  const { post, records } = await ingestApp(spec, {
    authenticate: authenticator({ tokens: () => tokens, verifyJwt, certificates: false }),
  })
  const send = async (token: string) => {
    const { status, body } = await post(ecommerceSale(), { authorization: `Bearer ${token}` })
    return `${status} ${body.error ?? ''}`
  }
  return { ...server, send, records, verifyJwt, own }
}

describe('an ingest with JWTs', () => {
  it('accepts a JWT of the issuer, of each kind of key, and a token of the file', async () => {
    const { send, own, state } = await ingest()
    expect(await send(await jwt())).toBe('202 ')
    expect(await send(await jwt({ aud: ['other', AUDIENCE] }))).toBe('202 ')
    expect(await send(await jwt({ alg: 'RS256', kid: 'rsa', key: rsa.privateKey }))).toBe('202 ')
    expect(await send(own.token)).toBe('202 ')
    expect(state.requests).toBe(1)
  })

  const now = Math.floor(Date.now() / 1000)
  it.each<[string, () => Promise<string>, RegExp]>([
    ['a wrong key', () => jwt({ key: foreign.privateKey }), /its signature is wrong/],
    ['an unknown key', () => jwt({ key: foreign.privateKey, kid: 'other' }), /its key is none of the issuer’s keys/],
    ['another audience', () => jwt({ aud: 'other' }), /its claim aud is wrong/],
    ['another issuer', () => jwt({ iss: 'https://other.example' }), /its claim iss is wrong/],
    ['an expiry in the past', () => jwt({ exp: now - 60 }), /it has expired/],
    ['no expiry', () => jwt({ exp: undefined as never }), /its claim exp is missing/],
    ['a start in the future', () => jwt({ nbf: now + 3600 }), /its claim nbf is wrong/],
    ['no client', () => jwt({ sub: undefined as never }), /its claim sub is missing/],
    ['a client that is no text', () => jwt({ sub: 5 as never }), /its claim sub is/],
    ['a client with a long name', () => jwt({ sub: 'x'.repeat(201) }), /its claim sub is not a text/],
    [
      'the algorithm none',
      async () => `${encoded({ alg: 'none' })}.${await bodyOf(jwt())}.`,
      /algorithm is not|is not a JWT/,
    ],
    ['HMAC by the public key', confused, /its algorithm is not allowed/],
    [
      'changed claims',
      async () => {
        const [head, , signature] = (await jwt()).split('.')
        return `${head}.${await bodyOf(jwt({ sub: 'other' }))}.${signature}`
      },
      /its signature is wrong/,
    ],
    ['another format', async () => 'sp1_nothing', /it is not a JWT/],
  ])('answers 401 to a JWT with %s, and says why', async (_what, token, message) => {
    const { send, records } = await ingest()
    const [text, answer] = [await token(), await send(await token())]
    expect(answer).toMatch(/^401 /)
    expect(answer).toMatch(message)
    expect(answer).not.toContain(text)
    expect(records).toEqual([])
  })

  it('names the client by the claim that is configured', async () => {
    const { verifyJwt } = await ingest('azp')
    expect(await verifyJwt(await jwt({ azp: 'till' }))).toBe('till')
    await expect(verifyJwt(await jwt())).rejects.toThrow(/its claim azp is missing/)
  })

  it('answers 503 while the keys cannot be fetched, and recovers', async () => {
    const { send, state } = await ingest()
    state.status = 500
    expect(await send(await jwt())).toMatch(/^503 the keys of the token’s issuer cannot be fetched/)
    state.status = 200
    expect(await send(await jwt())).toBe('202 ')
  })
})

it('fetches keys without encryption only from the same machine, unless --insecure is set', async () => {
  const open = (jwksUrl: string, insecure = false) =>
    openAuth({ jwt: { issuer: ISSUER, audience: AUDIENCE, jwksUrl, clientClaim: 'sub' }, insecure }, '::1', {
      report() {},
      onTls() {},
    })
  await expect(open('http://login.example/keys')).rejects.toThrow(
    /without encryption, so others could replace the keys/,
  )
  expect((await open('http://login.example/keys', true)).authenticate).toBeTypeOf('function')
  expect((await open('http://127.0.0.1:1/keys')).authenticate).toBeTypeOf('function')
  expect((await open('https://login.example/keys')).authenticate).toBeTypeOf('function')
})
