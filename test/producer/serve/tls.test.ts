/** The ingest with TLS and client certificates, over real connections. */
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { openAuth } from '#producer/serve/auth/open.ts'
import { createToken } from '#producer/serve/auth/tokens.ts'
import { startServe } from '#producer/serve/server.ts'
import { createTopic, kafka, unique } from '#test/support/services.ts'
import { until } from '#test/support/until.ts'
import { ecommerce, ecommerceSale } from '../pipelines.ts'
import { LIMITS } from './fixture.ts'

const LONG = { timeout: 300_000 }

const folder = mkdtempSync(join(tmpdir(), 'tls-'))
afterAll(() => rmSync(folder, { recursive: true }))
const path = (name: string) => join(folder, name)
const pem = (name: string) => readFileSync(path(name), 'utf8')

/** Creates NAME.crt and NAME.key, issued by an authority, or by itself. */
function issue(name: string, subject: string, ca?: string, usage = 'clientAuth'): void {
  const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']
  const by = ca
    ? ['-CA', path(`${ca}.crt`), '-CAkey', path(`${ca}.key`), '-addext', 'basicConstraints=CA:FALSE']
    : ['-addext', 'keyUsage=keyCertSign']
  const use = ca ? ['-addext', `extendedKeyUsage=${usage}`, '-addext', 'subjectAltName=IP:127.0.0.1'] : []
  const files = ['-keyout', path(`${name}.key`), '-out', path(`${name}.crt`)]
  execFileSync('openssl', [...request, '-subj', subject, ...by, ...use, ...files], { stdio: 'ignore' })
}

beforeAll(() => {
  issue('ca', '/CN=ca')
  issue('other-ca', '/CN=other-ca')
  issue('server', '/CN=first', 'ca', 'serverAuth')
  issue('renewed', '/CN=renewed', 'ca', 'serverAuth')
  issue('shop', '/O=Shop/CN=shop', 'ca')
  issue('nameless', '/O=Shop', 'ca')
  issue('foreign', '/CN=shop', 'other-ca')
})

async function ingest(clientCa?: string, tokens?: string) {
  const { bootstrap } = await kafka()
  const topic = unique('tls')
  await createTopic(bootstrap, topic, 1)
  for (const kind of ['crt', 'key']) copyFileSync(path(`server.${kind}`), path(`used.${kind}`))
  const tls = { cert: path('used.crt'), key: path('used.key'), ...(clientCa !== undefined && { clientCa }) }
  const auth = { insecure: false, tls, ...(tokens !== undefined && { tokens }) }
  const served = await startServe({ ...LIMITS, pipeline: ecommerce(bootstrap, topic), auth, env: {} })
  onTestFinished(() => served.close())
  return { ...served, topic }
}
type Served = Awaited<ReturnType<typeof ingest>>

/** Sends a sale on a connection of its own. */
function send({ url, topic }: Served, options: ConnectionOptions = {}, headers: Record<string, string> = {}) {
  return new Promise<{ status: number; body: string }>((resolve, reject) => {
    const body = ecommerceSale({ timestamp: new Date().toISOString() })
    const own = {
      method: 'POST',
      agent: false,
      ca: pem('ca.crt'),
      headers: { 'content-type': 'application/json', ...headers },
    }
    const sending = request(`${url}/${topic}`, { ...own, ...options }, async response => {
      let text = ''
      for await (const chunk of response) text += chunk
      resolve({ status: response.statusCode!, body: text })
    })
    sending.on('error', reject).end(body)
  })
}
const certificate = (name: string) => ({ cert: pem(`${name}.crt`), key: pem(`${name}.key`) })

async function connected({ url }: Served, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port: Number(new URL(url).port), ca: pem('ca.crt'), ...options })
  onTestFinished(() => void socket.destroy())
  await once(socket, 'secureConnect')
  return socket
}

describe('an ingest with TLS', LONG, () => {
  it('accepts sales over HTTPS only, and uses a new certificate without a restart', async () => {
    const served = await ingest()
    expect(served.url).toMatch(/^https:/)
    expect((await send(served)).status).toBe(202)
    await expect(fetch(served.url.replace('https', 'http'))).rejects.toThrow()
    const name = async () => (await connected(served)).getPeerCertificate().subject.CN
    expect(await name()).toBe('first')
    copyFileSync(path('renewed.crt'), path('used.crt'))
    await new Promise(resolve => setTimeout(resolve, 2500))
    expect(await name()).toBe('first')
    copyFileSync(path('renewed.key'), path('used.key'))
    await until('the new certificate is in use', async () => (await name()) === 'renewed')
    expect((await send(served)).status).toBe(202)
  })

  it('refuses to start with a key of another certificate', async () => {
    const tls = { cert: path('server.crt'), key: path('shop.key') }
    await expect(openAuth({ insecure: false, tls }, '0.0.0.0', { report() {}, onTls() {} })).rejects.toThrow(
      /cannot use .*server\.crt, .*shop\.key for TLS: .*mismatch/,
    )
  })
})

describe('an ingest with client certificates', LONG, () => {
  it('accepts a certificate of its authority, and answers 401 to a certificate of another authority or none', async () => {
    const served = await ingest(path('ca.crt'))
    expect((await send(served, certificate('shop'))).status).toBe(202)
    expect(await send(served)).toMatchObject({
      status: 401,
      body: expect.stringContaining('no client certificate; connect'),
    })
    expect(await send(served, certificate('foreign'))).toMatchObject({
      status: 401,
      body: expect.stringMatching(/client certificate is not accepted \([A-Z_]+\)/),
    })
    expect(await send(served, certificate('server'))).toMatchObject({ status: 401 })
    expect(await send(served, certificate('nameless'))).toMatchObject({
      status: 401,
      body: expect.stringContaining('no common name'),
    })
  })

  it('accepts a token as well, if both are configured', async () => {
    const { token, line } = createToken('till')
    writeFileSync(path('tokens'), line)
    const served = await ingest(path('ca.crt'), path('tokens'))
    expect((await send(served, certificate('shop'))).status).toBe(202)
    expect((await send(served, {}, { authorization: `Bearer ${token}` })).status).toBe(202)
    expect((await send(served, certificate('foreign'), { authorization: `Bearer ${token}` })).status).toBe(202)
    expect((await send(served, certificate('foreign'))).status).toBe(401)
  })

  it('accepts no session that was resumed without a certificate', async () => {
    const served = await ingest(path('ca.crt'))
    const first = await connected(served)
    const received = once(first, 'session')
    first.write('GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n')
    const [session] = (await received) as [Buffer]
    expect(await send(served, { session })).toMatchObject({ status: 401 })
  })

  it('trusts a new authority without a restart, and no longer the old one', async () => {
    copyFileSync(path('ca.crt'), path('client-ca.crt'))
    const served = await ingest(path('client-ca.crt'))
    expect((await send(served, certificate('shop'))).status).toBe(202)
    copyFileSync(path('other-ca.crt'), path('client-ca.crt'))
    await until('the new authority is trusted', async () => (await send(served, certificate('foreign'))).status === 202)
    expect((await send(served, certificate('shop'))).status).toBe(401)
  })
})
