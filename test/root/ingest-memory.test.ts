/** The ingest as a program with the memory of its pod: hostile requests get an answer, and sales are accepted afterwards. */
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import { expect, it } from 'vitest'
import { ownFolder } from '#test/support/folder.ts'
import { startLimited } from '#test/support/memory-limit.ts'
import { createTopic, kafka, unique } from '#test/support/services.ts'
import { ecommerceText } from '../producer/pipelines.ts'

const MAIN = resolve(import.meta.dirname, '../../producer/main.ts')
const MIB = 1024 ** 2
/** The limit of the operator's ingest pods. */
const POD = 512 * MIB

const JSON_TYPE = { 'content-type': 'application/json' }
const sale = (id: string) =>
  JSON.stringify({
    transaction_id: id,
    timestamp: new Date().toISOString(),
    category: 'books',
    payment_method: 'paypal',
    store_id: 'store-1',
    amount: '12.50',
    quantity: 1,
  })

async function startIngest(bootstrap: string, topic: string, ...flags: string[]) {
  const file = join(ownFolder('ingest'), 'pipeline.yaml')
  writeFileSync(file, ecommerceText(bootstrap, topic))
  const args = [MAIN, 'serve', '--file', file, '--port', '0', ...flags]
  const { child, peakBytes } = startLimited(POD, args)
  let output = ''
  for (const stream of [child.stdout!, child.stderr!]) stream.on('data', data => (output += data))
  const exit = once(child, 'exit').then(([code, signal]) => {
    throw new Error(`the ingest ended with ${code ?? signal}; its output is\n${output}`)
  })
  const [message] = (await Promise.race([once(child, 'message'), exit])) as [{ url: string }]
  exit.catch(() => {})
  const url = `${message.url}/${topic}`
  return {
    url,
    peakBytes,
    async post(body: string | Buffer, headers: Record<string, string> = {}) {
      const sent = fetch(url, { method: 'POST', body, headers: { ...JSON_TYPE, ...headers } })
      const response = await Promise.race([sent, exit])
      return { status: response.status, text: await response.text() }
    },
  }
}

async function withTopic(...flags: string[]) {
  const { bootstrap } = await kafka()
  const topic = unique('hostile')
  await createTopic(bootstrap, topic, 2)
  return startIngest(bootstrap, topic, ...flags)
}

/** Returns an array of as many copies of the element as fit into the bytes. */
const filled = (element: string, bytes: number) =>
  `[${Array(Math.floor((bytes - 2) / (element.length + 1)))
    .fill(element)
    .join(',')}]`

/** Bodies that cost much more memory than their bytes. */
const hostile = (bytes: number): string[] => [
  filled('{}', bytes),
  filled('1', bytes),
  filled('[]', bytes),
  `{"x":${filled('{}', bytes - 10)}}`,
  `{"x":${filled('1', bytes - 10)}}`,
  sale('lines').replace('{', `{"x":${filled('1', bytes - 1000)},`),
  sale('objects').replace('{', `{"x":${filled('{"a":[1]}', bytes - 1000)},`),
  filled('{}', bytes).slice(0, -1),
]

it('answers arrays of many faults, as large as the size limit allows', async () => {
  const ingest = await withTopic()
  const statuses = []
  for (const body of [...hostile(MIB), ...hostile(2 * MIB)]) statuses.push((await ingest.post(body)).status)
  expect(statuses).toEqual([413, 413, 413, 400, 400, 202, 202, 400, ...Array(8).fill(413)])
  expect((await ingest.post(sale('after'))).status).toBe(202)
  expect(ingest.peakBytes()).toBeLessThan(POD * 0.75)
})

it('stops at the hundredth fault, even where the settings allow arrays of any length', async () => {
  const ingest = await withTopic('--max-body', String(4 * MIB), '--max-batch', '100000000')
  for (const size of [1, 2, 4]) {
    const { status, text } = await ingest.post(filled('{}', size * MIB))
    expect([status, JSON.parse(text).faults.length]).toEqual([400, 100])
  }
  expect((await ingest.post(sale('after'))).status).toBe(202)
  expect(ingest.peakBytes()).toBeLessThan(POD * 0.75)
})

it('answers 413 to many compressed bodies that become too large', async () => {
  const ingest = await withTopic()
  const zeros = Buffer.alloc(512 * MIB)
  const bombs = [
    [gzipSync(zeros), 'gzip'],
    [brotliCompressSync(zeros, { params: { [constants.BROTLI_PARAM_QUALITY]: 3 } }), 'br'],
  ] as const
  for (const [bomb, name] of bombs) {
    const sent = Array.from({ length: 100 }, () => ingest.post(bomb, { 'content-encoding': name }))
    expect(new Set((await Promise.all(sent)).map(({ status }) => status))).toEqual(new Set([413]))
  }
  expect((await ingest.post(gzipSync(sale('after')), { 'content-encoding': 'gzip' })).status).toBe(202)
  expect(ingest.peakBytes()).toBeLessThan(POD * 0.75)
}, 120_000)
