/** Tests the program of the Job that creates the chart's passwords, against an HTTP server that stores Secrets as the API server does. */
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import type { Json } from '../support/kube.ts'
import { temporaryFolder } from '../support/services.ts'

const PROGRAM = join(import.meta.dirname, '../../charts/passwords/create.mjs')
const WANTED = [
  { name: 'postgres', labels: { app: 'postgres' }, data: { username: 'sales' } },
  { name: 'elasticsearch', labels: {}, data: { username: 'sales', roles: 'sales_pipeline' } },
]
const DATASOURCE = {
  name: 'datasource',
  labels: { grafana_datasource: '1' },
  reader: 'postgres',
  file: 'salespipeline.yaml',
  text: 'secureJsonData: { password: PASSWORD }',
}

const account = temporaryFolder('account')
const stored = new Map<string, Json>()
const requests: string[] = []
/** Codes of the first answers. */
let refusals: number[] = []
let url = ''

const server = createServer(async (request, response) => {
  const { code, body } =
    refusals.length > 0 ? { code: refusals.shift()!, body: { message: 'no' } } : await answer(request)
  requests.push(`${request.method} ${new URL(request.url!, 'http://x').pathname.split('/secrets')[1]} ${code}`)
  response.writeHead(code).end(JSON.stringify(body))
})

async function answer(request: IncomingMessage): Promise<{ code: number; body: object }> {
  if (request.headers.authorization !== 'Bearer token-of-the-pod')
    return { code: 401, body: { message: 'who are you' } }
  const name = new URL(request.url!, 'http://x').pathname.split('/secrets/')[1]
  if (request.method === 'GET')
    return stored.has(name!) ? { code: 200, body: stored.get(name!)! } : { code: 404, body: {} }
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const object = JSON.parse(Buffer.concat(chunks).toString()) as Json
  const before = name === undefined ? undefined : stored.get(name)
  if (name === undefined && stored.has(object.metadata.name)) return { code: 409, body: { message: 'exists' } }
  const encoded = Object.entries(object.stringData ?? {}).map(([key, value]) => [
    key,
    Buffer.from(value as string).toString('base64'),
  ])
  const after = { ...before, ...object, metadata: { resourceVersion: '1', ...before?.metadata, ...object.metadata } }
  after.data = { ...before?.data, ...object.data, ...Object.fromEntries(encoded) }
  stored.set(name ?? object.metadata.name, after)
  return { code: 200, body: after }
}

async function run(more: Record<string, string> = {}): Promise<string> {
  const env = { API_SERVER: url, SERVICE_ACCOUNT: account, SECRETS: JSON.stringify(WANTED), PATIENCE_S: '5', ...more }
  const { stdout } = await promisify(execFile)(process.execPath, [PROGRAM], { env })
  return stdout
}
const textOf = (name: string, key: string) => Buffer.from(stored.get(name)!.data[key], 'base64').toString()

beforeAll(async () => {
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  for (const [file, text] of Object.entries({ token: 'token-of-the-pod\n', namespace: 'shop' }))
    writeFileSync(join(account, file), text)
})
beforeEach(() => {
  stored.clear()
  requests.length = 0
  refusals = []
})
afterAll(() => server.close())

it('creates a Secret for each user, with different random passwords, and prints none of them', async () => {
  const output = await run()
  const passwords = ['postgres', 'elasticsearch'].map(name => textOf(name, 'password'))
  for (const password of passwords) {
    expect(password).toMatch(/^[\w-]{24}$/)
    expect(output).not.toContain(password)
  }
  expect(new Set(passwords).size).toBe(2)
  expect(stored.get('postgres')).toMatchObject({
    type: 'kubernetes.io/basic-auth',
    metadata: { labels: { app: 'postgres' } },
  })
  expect([textOf('elasticsearch', 'username'), textOf('elasticsearch', 'roles')]).toEqual(['sales', 'sales_pipeline'])
})

it('keeps the password of an existing Secret, also one that the user created', async () => {
  stored.set('postgres', { metadata: { name: 'postgres' }, data: { password: 'b2xk' } })
  await run()
  expect(textOf('postgres', 'password')).toBe('old')
  const first = textOf('elasticsearch', 'password')
  requests.length = 0
  await run()
  expect(textOf('elasticsearch', 'password')).toBe(first)
  expect(requests).toEqual(['GET /postgres 200', 'GET /elasticsearch 200'])
})

it('adds a password to a Secret without one, and only to the version that it read', async () => {
  stored.set('postgres', { metadata: { name: 'postgres', resourceVersion: '7', labels: { mine: 'yes' } }, data: {} })
  await run()
  expect(textOf('postgres', 'password')).toMatch(/^[\w-]{24}$/)
  expect(stored.get('postgres')!.metadata).toMatchObject({ resourceVersion: '7', labels: { mine: 'yes' } })
})

it('writes the data source of Grafana with the password of its user, and updates it', async () => {
  const more = { DATASOURCE: JSON.stringify(DATASOURCE) }
  await run(more)
  expect(textOf('datasource', 'salespipeline.yaml')).toBe(
    `secureJsonData: { password: "${textOf('postgres', 'password')}" }`,
  )
  stored.get('postgres')!.data.password = Buffer.from('a"$&b').toString('base64')
  await run(more)
  expect(textOf('datasource', 'salespipeline.yaml')).toBe(String.raw`secureJsonData: { password: "a\"$&b" }`)
})

it('leaves a data source that belongs to a Helm release', async () => {
  const metadata = { name: 'datasource', annotations: { 'meta.helm.sh/release-name': 'sales' } }
  stored.set('datasource', { metadata, data: {} })
  expect(await run({ DATASOURCE: JSON.stringify(DATASOURCE) })).toContain('belongs to a Helm release')
  expect(stored.get('datasource')!.data).toEqual({})
})

it('waits for its permissions, and creates each Secret once', async () => {
  refusals = [403, 503]
  expect(await run()).toMatch(/returned 403: no; retrying/)
  expect(requests.filter(line => line.startsWith('POST'))).toHaveLength(2)
})

it('exits with the reason when the API server refuses for too long', async () => {
  refusals = Array.from({ length: 9 }, () => 403)
  const failure = (await run({ PATIENCE_S: '0' }).catch(error => error)) as { code: number; stderr: string }
  expect([failure.code, failure.stderr]).toEqual([
    1,
    expect.stringMatching(/creating passwords failed: GET .* returned 403/),
  ])
})
