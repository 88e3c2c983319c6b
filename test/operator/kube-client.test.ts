import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { KubeConfig } from '@kubernetes/client-node'
import { expect, it, onTestFinished } from 'vitest'
import { KubeClient, KubeError } from '#operator/kube/client.ts'
import { SALES_PIPELINE } from '#operator/kube/resources.ts'

const BUSY = { kind: 'Status', code: 429, reason: 'TooManyRequests', message: 'storage is (re)initializing' }
const EMPTY = { items: [], metadata: { resourceVersion: '7' } }

type Answer = { status: number; headers?: Record<string, string>; body: object }

/** Returns a client of a server that gives these answers in order, and repeats the last one. */
async function clientOf(...answers: Answer[]) {
  const methods: string[] = []
  const server = createServer((request, response: ServerResponse) => {
    methods.push(request.method!)
    const { status, headers = {}, body } = answers[Math.min(methods.length, answers.length) - 1]!
    request.resume()
    response.writeHead(status, headers).end(JSON.stringify(body))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const config = new KubeConfig()
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  config.loadFromClusterAndUser({ name: 'test', server: address, skipTLSVerify: true }, { name: 'test' })
  const client = new KubeClient(config)
  onTestFinished(async () => {
    client.close()
    server.closeAllConnections()
    await new Promise(resolve => server.close(resolve))
  })
  return { client, methods }
}

const postponed = (status: number, seconds = 1): Answer => ({
  status,
  headers: { 'retry-after': String(seconds) },
  body: { ...BUSY, code: status },
})

it.each([429, 503])('sends a request again when the API server says so (%i with Retry-After)', async status => {
  const { client, methods } = await clientOf(postponed(status), { status: 200, body: EMPTY })
  expect((await client.list(SALES_PIPELINE)).resourceVersion).toBe('7')
  expect(methods).toEqual(['GET', 'GET'])
})

it('also sends a write again', async () => {
  const { client, methods } = await clientOf(postponed(429), { status: 200, body: {} })
  await client.mergePatch(SALES_PIPELINE, { namespace: 'shop', name: 'ecommerce' }, { spec: {} })
  expect(methods).toEqual(['PATCH', 'PATCH'])
})

it.each([
  ['429 without Retry-After', { status: 429, body: BUSY }],
  ['409 with Retry-After', postponed(409)],
])('does not send a request again after %s', async (_, answer) => {
  const { client, methods } = await clientOf(answer)
  await expect(client.list(SALES_PIPELINE)).rejects.toMatchObject({ code: answer.status })
  expect(methods).toEqual(['GET'])
})

it('reports the refusal when it is stopped while it waits', async () => {
  const { client, methods } = await clientOf(postponed(429, 3600))
  const stopping = new AbortController()
  const listing = client.list(SALES_PIPELINE, { signal: stopping.signal })
  await expect.poll(() => methods.length).toBe(1)
  stopping.abort()
  const error = await listing.catch((error: unknown) => error)
  expect(error).toBeInstanceOf(KubeError)
  expect((error as KubeError).message).toMatch('storage is (re)initializing')
})
