/** Tokens for SASL OAUTHBEARER, from a real token endpoint over HTTPS and from a file. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decodeJwt } from 'jose'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { checkTokenAnswer, fetchedToken, TokenError, tokenFromFile } from '#common/oauth-token.ts'
import { redactText, rememberSecret } from '#common/redact.ts'
import { kafkaError } from '#processor/adapters/kafka/connection.ts'
import { Certificates } from '../support/certificates.ts'
import { CLIENT, startTokenEndpoint, type TokenEndpoint } from '../support/token-endpoint.ts'

const folder = mkdtempSync(join(tmpdir(), 'oauth-token-'))
const certificates = new Certificates(folder)
let endpoint: TokenEndpoint

beforeAll(async () => {
  certificates.issue('ca', { name: 'ca' })
  certificates.issue('server', { name: 'login', ca: 'ca' })
  endpoint = await startTokenEndpoint({ cert: certificates.pem('server.crt'), key: certificates.pem('server.key') })
})
beforeEach(() => {
  endpoint.requests.length = 0
  endpoint.refusal = null
})
afterAll(async () => {
  await endpoint.close()
  rmSync(folder, { recursive: true })
})

const credentials = (changes = {}) => ({
  tokenEndpoint: endpoint.url,
  clientId: CLIENT.id,
  clientSecret: CLIENT.secret,
  ca: certificates.pem('ca.crt'),
  ...changes,
})
const failure = async (token: () => Promise<string>) => {
  const error = await token().catch((e: unknown) => e)
  if (error instanceof TokenError) return error
  throw new Error(`no TokenError, but ${error}`)
}

describe('client credentials', () => {
  it('exchanges client credentials for a token, with the scope', async () => {
    const token = await fetchedToken(credentials({ scope: 'kafka read' }))()
    expect(decodeJwt(token)).toMatchObject({ sub: 'shop', aud: 'kafka' })
    expect(endpoint.requests).toEqual(['grant_type=client_credentials&scope=kafka+read'])
  })

  it('sends client credentials once for callers at the same time, and again before the token expires', async () => {
    const clock = { now: 0 }
    endpoint.lifetimeSeconds = 100
    const token = fetchedToken(credentials(), () => clock.now)
    const [first, second] = await Promise.all([token(), token()])
    expect(second).toBe(first)
    clock.now = 79_000
    expect(await token()).toBe(first)
    expect(endpoint.requests).toHaveLength(1)
    clock.now = 80_000
    await token()
    expect(endpoint.requests).toHaveLength(2)
  })

  it('fetches a token again after a failure', async () => {
    const token = fetchedToken(credentials())
    endpoint.refusal = { status: 503, text: 'starting' }
    expect(await failure(token)).toMatchObject({ denied: false, message: /answered 503 .*starting$/ })
    endpoint.refusal = null
    expect(await token()).toMatch(/^eyJ/)
  })

  it('that the endpoint denies give an error with its text, redacted and cut', async () => {
    const clientSecret = rememberSecret('a-wrong-secret')
    const { message, denied } = await failure(fetchedToken(credentials({ clientSecret })))
    expect(denied).toBe(true)
    expect(message).toMatch(
      /answered 401 for client shop client: invalid_client secret \[redacted\]\. Check clientId, cl/,
    )
    endpoint.refusal = { status: 401, text: 'x'.repeat(5000) }
    expect((await failure(fetchedToken(credentials()))).message.length).toBeLessThan(500)
  })

  it.each([
    [
      'an answer without a token',
      () => ({ status: 200, text: '{"token_type":"bearer"}' }),
      /answered without access_token/,
    ],
    ['an answer that is not JSON', () => ({ status: 200, text: '<html>' }), /answered without access_token/],
    ['a redirection', () => ({ status: 302, text: '' }), /answered 302 .*: no text/],
    ['an answer without end', () => ({ status: 200, text: 'x'.repeat(100_000) }), /larger than 65536 bytes/],
  ])('fail with %s', async (_name, refusal, message) => {
    endpoint.refusal = refusal()
    expect((await failure(fetchedToken(credentials()))).message).toMatch(message)
  })

  it('fail at an endpoint with a certificate of an unknown authority', async () => {
    const { message, denied } = await failure(fetchedToken(credentials({ ca: undefined })))
    expect(message).toMatch(
      /cannot be reached: unable to verify.*Check spec\.source\.sasl\.oauth\.tokenEndpoint and caS/,
    )
    expect(denied).toBe(false)
    expect(endpoint.requests).toEqual([])
  })
})

describe('a token file', () => {
  const file = join(folder, 'token')

  it('reads a token file again for each authentication', async () => {
    const token = tokenFromFile(file)
    writeFileSync(file, 'first\n')
    expect(await token()).toBe('first')
    writeFileSync(file, 'second')
    expect(await token()).toBe('second')
  })

  it('that is missing or empty gives an error that names it', async () => {
    expect((await failure(tokenFromFile('/none'))).message).toMatch(/token file \/none: ENOENT.*KAFKA_TOKEN_FILE/)
    writeFileSync(file, '\n')
    expect((await failure(tokenFromFile(file))).message).toContain('is empty')
  })
})

it('A broker’s answer to a token is an error if it has a status', () => {
  const answers: unknown[] = []
  checkTokenAnswer(Buffer.alloc(0), error => answers.push(error))
  checkTokenAnswer(Buffer.from('{"status":"invalid_token"}'), error => answers.push(error?.message))
  expect(answers).toEqual([null, expect.stringMatching(/rejects the token \(invalid_token\).*audience/)])
})

it('Access is denied if the endpoint denied it, however the Kafka client nests the error', () => {
  const nested = (token: TokenError) =>
    new AggregateError([new Error('Connection failed', { cause: token })], 'no broker')
  expect(kafkaError(nested(new TokenError('wrong secret', true)), 'fetching')).toMatchObject({ code: 'AccessDenied' })
  const passing = kafkaError(nested(new TokenError('no answer')), 'fetching')
  expect(passing).toMatchObject({ name: 'Retryable', message: 'Kafka error while fetching: no answer; retrying' })
})

it('Tokens and private keys are redacted without being remembered', async () => {
  expect(redactText(`sent ${await endpoint.sign(60)} to x`)).toBe('sent [redacted] to x')
  expect(redactText(certificates.pem('server.key')).trim()).toBe('[redacted]')
})
