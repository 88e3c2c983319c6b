/** Clients with tokens: who is accepted, and when a changed file takes effect. */
import { once } from 'node:events'
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { authenticator } from '#producer/serve/auth/authenticate.ts'
import { openAuth } from '#producer/serve/auth/open.ts'
import { Reloaded, readMounted } from '#producer/serve/auth/reloaded.ts'
import { createToken, parseTokens, type Token } from '#producer/serve/auth/tokens.ts'
import { ownFolder } from '#test/support/folder.ts'
import { until } from '#test/support/until.ts'
import { ecommerce, ecommerceSale } from '../pipelines.ts'
import { ingestApp } from './fixture.ts'

const { spec } = ecommerce('unused:9092', 'transactions')
const HOOKS = { report() {}, onTls() {} }
const [shop, next] = [createToken('shop'), createToken('shop')]

describe('the file of tokens', () => {
  it('parses a file with several tokens of a client, comments and empty lines', () => {
    const tokens = parseTokens(
      `# rotation of shop\n${shop.line}\r\n\n  ${next.line.toUpperCase().replace('SHOP', 'shop')}\n`,
    )
    expect(tokens.map(({ client }) => client)).toEqual(['shop', 'shop'])
    expect(tokens[0]!.hash).not.toEqual(tokens[1]!.hash)
  })

  it.each([
    ['a token instead of its hash', `shop:${shop.token}`],
    ['no name', `:${shop.line.split(':')[1]}`],
    ['a name with a space', shop.line.replace('shop', 'my shop')],
    ['a hash of another length', shop.line.slice(0, -1)],
  ])('refuses a file of tokens with %s, without showing the line', (_what, line) => {
    expect(() => parseTokens(`${next.line}\n${line}`)).toThrow(/^line 2 is not NAME:HASH/)
    expect(() => parseTokens(line)).not.toThrow(line)
  })

  it('holds hashes that do not reveal the token', () => {
    expect(shop.token).toMatch(/^sp1_[\w-]{43}$/)
    expect(shop.line).toMatch(/^shop:[\da-f]{64}$/)
    expect(shop.token).not.toBe(next.token)
  })
})

describe('an ingest with tokens', async () => {
  const tokens = { value: parseTokens(shop.line) }
  const { app, post, records, budget } = await ingestApp(spec, {
    authenticate: authenticator({ tokens: () => tokens.value, verifyJwt: null, certificates: false }),
  })
  const sent = (authorization?: string) => post(ecommerceSale(), authorization === undefined ? {} : { authorization })

  it.each([
    ['no header', undefined, /is missing; send Authorization: Bearer TOKEN/, 'Bearer'],
    ['another scheme', 'Basic c2hvcDpz', /has another format/, 'Bearer'],
    ['no token', 'Bearer ', /has another format/, 'Bearer'],
    ['two tokens', `Bearer ${shop.token} ${shop.token}`, /has another format/, 'Bearer'],
    ['another token', `Bearer ${next.token}`, /is not valid: it is unknown/, 'Bearer error="invalid_token"'],
    ['the hash', `Bearer ${shop.line.split(':')[1]}`, /is not valid: it is unknown/, 'Bearer error="invalid_token"'],
  ])('answers 401 to a request with %s, and says what to send', async (_what, authorization, message, challenge) => {
    const { status, body } = await sent(authorization)
    expect([status, body.error]).toEqual([401, expect.stringMatching(message)])
    expect(body.error).not.toContain(next.token)
    const headers = { 'content-type': 'application/json', ...(authorization !== undefined && { authorization }) }
    const response = await app.inject({ method: 'POST', url: '/transactions', payload: ecommerceSale(), headers })
    expect(response.headers['www-authenticate']).toBe(challenge)
    expect(records).toEqual([])
  })

  it('accepts each valid token, in any case of the scheme, until it is removed', async () => {
    tokens.value = parseTokens(`${shop.line}\n${next.line}`)
    expect((await sent(`Bearer ${shop.token}`)).status).toBe(202)
    expect((await sent(`bearer  ${next.token}`)).status).toBe(202)
    tokens.value = parseTokens(next.line)
    expect((await sent(`Bearer ${shop.token}`)).status).toBe(401)
    tokens.value = []
    expect((await sent(`Bearer ${next.token}`)).status).toBe(401)
    records.splice(0)
  })

  it('needs no token for probes, and refuses unknown paths as before', async () => {
    expect((await app.inject('/readyz')).statusCode).toBe(200)
    expect((await app.inject({ method: 'POST', url: '/other' })).statusCode).toBe(404)
  })

  it('says in its documentation that requests need a token', async () => {
    const openapi = (await app.inject('/openapi.json')).json()
    expect([openapi.components.securitySchemes, openapi.security]).toEqual([
      { token: { type: 'http', scheme: 'bearer' } },
      [{ token: [] }],
    ])
    expect((await app.inject('/docs')).body).toContain("-H 'authorization: Bearer TOKEN'")
  })

  it('answers 401 before the body arrives, and counts nothing as memory of the request', async () => {
    const url = await app.listen({ host: '127.0.0.1', port: 0 })
    onTestFinished(() => app.close())
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    onTestFinished(() => void socket.destroy())
    socket.write(
      'POST /transactions HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 900000\r\n\r\n',
    )
    const [answer] = await once(socket, 'data')
    expect(String(answer)).toMatch(/^HTTP\/1\.1 401 /)
    expect(budget.usedBytes).toBe(0)
  })
})

describe('a mounted Secret', () => {
  /** Writes a version as the kubelet does: the files are links into a folder that is a link to the version. */
  function mounted(folder: string, version: string, text: string): void {
    mkdirSync(join(folder, version))
    writeFileSync(join(folder, version, 'tokens'), text)
    symlinkSync(version, join(folder, '..tmp'))
    renameSync(join(folder, '..tmp'), join(folder, '..data'))
  }

  async function opened() {
    const folder = ownFolder('tokens')
    mounted(folder, '..1', shop.line)
    symlinkSync(join('..data', 'tokens'), join(folder, 'tokens'))
    const [changes, faults]: [Token[][], string[]] = [[], []]
    const reloaded = await Reloaded.open({
      read: () => readMounted(folder),
      parse: parseTokens,
      onChange: value => changes.push(value),
      onFault: message => faults.push(message),
      everyMs: 10,
    })
    onTestFinished(() => reloaded.close())
    return { folder, reloaded, changes, faults }
  }

  it('reads a mounted Secret again when the kubelet replaces it', async () => {
    const { folder, reloaded, changes, faults } = await opened()
    mounted(folder, '..2', `${shop.line}\n${next.line}`)
    await until('both tokens are valid', () => reloaded.value.length === 2)
    mounted(folder, '..3', next.line)
    await until('one token is valid', () => reloaded.value.length === 1)
    expect([changes.length, faults]).toEqual([2, []])
  })

  it('keeps its last tokens while the new text is wrong, and reports the fault once', async () => {
    const { folder, reloaded, changes, faults } = await opened()
    mounted(folder, '..2', 'x')
    await until('the fault is reported', () => faults.length > 0)
    await new Promise(resolve => setTimeout(resolve, 50))
    expect(faults).toEqual([expect.stringMatching(/^line 1 is not NAME:HASH/)])
    expect(reloaded.value).toEqual(parseTokens(shop.line))
    mounted(folder, '..3', next.line)
    await until('the new token is valid', () => changes.length === 1)
    expect(reloaded.value).toEqual(parseTokens(next.line))
  })
})

describe('tokens without encryption', () => {
  const open = (host: string, insecure: boolean) => {
    const file = join(ownFolder('tokens'), 'tokens')
    writeFileSync(file, shop.line)
    return openAuth({ tokens: file, insecure }, host, HOOKS).then(auth => auth.close())
  }
  it.each(['0.0.0.0', '::', '192.0.2.1', 'ingest.example'])(
    'refuses tokens without encryption on %s unless --insecure is set',
    async host => {
      await expect(open(host, false)).rejects.toThrow(
        /receives tokens of other machines without encryption.*--insecure/,
      )
      await expect(open(host, true)).resolves.toBeUndefined()
    },
  )
  it.each(['127.0.0.1', '::1', 'localhost'])('accepts tokens without encryption on %s', host =>
    expect(open(host, false)).resolves.toBeUndefined(),
  )
  it('refuses to start if the file of tokens cannot be read or parsed', async () => {
    const missing = join(ownFolder('tokens'), 'nowhere')
    await expect(openAuth({ tokens: missing, insecure: false }, '::1', HOOKS)).rejects.toThrow(/cannot read .*nowhere/)
    writeFileSync(missing, shop.token)
    await expect(openAuth({ tokens: missing, insecure: false }, '::1', HOOKS)).rejects.toThrow(/nowhere; line 1 is not/)
  })
})
