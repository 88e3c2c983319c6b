/** The ingest as a program with the memory of its pod: hostile requests get an answer, and sales are accepted afterwards. */
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join, resolve } from 'node:path'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import { expect, it, onTestFinished } from 'vitest'
import { createToken } from '#producer/serve/auth/tokens.ts'
import { ownFolder } from '#test/support/folder.ts'
import { startLimited } from '#test/support/memory-limit.ts'
import { pauseProcess } from '#test/support/pause-process.ts'
import { createTopic, kafka, ownKafka, unique } from '#test/support/services.ts'
import { until } from '#test/support/until.ts'
import { ecommerceSale, ecommerceText } from '../producer/pipelines.ts'

const MAIN = resolve(import.meta.dirname, '../../producer/main.ts')
const MIB = 1024 ** 2
/** The limit of the operator's ingest pods. */
const POD = 512 * MIB

/** A busy machine takes long to start Kafka, and to answer thousands of requests. */
const LONG = { timeout: 400_000 }

const JSON_TYPE = { 'content-type': 'application/json' }
const sale = (id: string) => ecommerceSale({ transaction_id: id, timestamp: new Date().toISOString() })

async function startIngest(bootstrap: string, topic: string, ...flags: string[]) {
  const file = join(ownFolder('ingest'), 'pipeline.yaml')
  writeFileSync(file, ecommerceText(bootstrap, topic))
  const args = [MAIN, 'serve', '--file', file, '--port', '0', ...flags]
  const { child, limit } = startLimited(POD, args)
  const seen = new Set<number>()
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
    limit,
    pid: child.pid!,
    /** Statuses of all responses. */
    seen,
    async post(body: string | Buffer, headers: Record<string, string> = {}) {
      const sent = fetch(url, { method: 'POST', body, headers: { ...JSON_TYPE, ...headers } })
      const response = await Promise.race([sent, exit])
      seen.add(response.status)
      return { status: response.status, retryAfter: response.headers.get('retry-after'), text: await response.text() }
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

it('answers arrays of many faults, as large as the size limit allows', LONG, async () => {
  const ingest = await withTopic()
  const statuses = []
  for (const body of [...hostile(MIB), ...hostile(2 * MIB)]) statuses.push((await ingest.post(body)).status)
  expect(statuses).toEqual([413, 413, 413, 400, 400, 400, 202, 400, ...Array(8).fill(413)])
  expect((await ingest.post(sale('after'))).status).toBe(202)
  expect(ingest.limit.peakBytes).toBeLessThan(POD * 0.75)
})

it('stops at the hundredth fault, even where the settings allow arrays of any length', LONG, async () => {
  const ingest = await withTopic('--max-body', String(4 * MIB), '--max-batch', '100000000')
  for (const size of [1, 2, 4]) {
    const { status, text } = await ingest.post(filled('{}', size * MIB))
    expect([status, JSON.parse(text).faults.length]).toEqual([400, 100])
  }
  expect((await ingest.post(sale('after'))).status).toBe(202)
  expect(ingest.limit.peakBytes).toBeLessThan(POD * 0.75)
})

it('answers 413 to many compressed bodies that become too large', LONG, async () => {
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
  expect(ingest.limit.peakBytes).toBeLessThan(POD * 0.75)
})

function withoutRequest(url: string): Socket {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  socket.on('error', () => {})
  return socket.resume()
}

/** Returns how many connections the kernel has established that the program has not accepted. */
function acceptQueue(url: string): number {
  const port = Number(new URL(url).port).toString(16).toUpperCase().padStart(4, '0')
  const listening = new RegExp(`: [0-9A-F]+:${port} [0-9A-F]+:0000 0A [0-9A-F]+:([0-9A-F]+)`)
  return Number.parseInt(listening.exec(readFileSync('/proc/net/tcp', 'utf8'))![1]!, 16)
}

/** Rejects if the first answer does not begin like this. */
async function answered(socket: Socket, start: string): Promise<void> {
  const [data] = await once(socket, 'data')
  expect(String(data).slice(0, start.length)).toBe(start)
}

/** Sends all of a request of 1 MiB but its last byte. */
function unfinished(url: string): Socket {
  const { pathname } = new URL(url)
  const socket = withoutRequest(url)
  socket.write(
    `POST ${pathname} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: ${MIB}\r\n\r\n`,
  )
  socket.write(Buffer.alloc(MIB - 1, ' '))
  return socket
}

it('closes connections with unfinished bodies, and those without a request', LONG, async () => {
  const ingest = await withTopic('--receive-within', '10s')
  const sockets = Array.from({ length: 1000 }, () => unfinished(ingest.url))
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
  })
  // Not a request beside them: on a busy machine it could come after the 10 s, when the memory is free again.
  await Promise.any(sockets.map(socket => answered(socket, 'HTTP/1.1 429')))
  // Connections that a busy machine has not accepted yet would take the places of those that come next.
  await until('all connections are accepted', () => acceptQueue(ingest.url) === 0, 90_000)
  await pauseProcess(ingest.pid)
  const silent = Array.from({ length: 1500 }, () => withoutRequest(ingest.url))
  sockets.push(...silent)
  await until('the kernel has taken all connections', () => silent.every(socket => !socket.connecting))
  process.kill(ingest.pid, 'SIGCONT')
  await until('all connections are closed', () => sockets.every(socket => socket.closed), 90_000, 500)
  expect((await ingest.post(sale('after'))).status).toBe(202)
  expect(ingest.limit.peakBytes).toBeLessThan(POD * 0.75)
})

it('answers 401 to requests without a token while their bodies arrive, without memory for them', LONG, async () => {
  const { token, line } = createToken('shop')
  const tokens = join(ownFolder('tokens'), 'tokens')
  writeFileSync(tokens, line)
  const ingest = await withTopic('--tokens', tokens)
  const sockets = Array.from({ length: 1500 }, () => unfinished(ingest.url))
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
  })
  const refused = sockets.map(async socket => String((await once(socket, 'data'))[0]).slice(0, 12))
  expect(new Set(await Promise.all(refused))).toEqual(new Set(['HTTP/1.1 401']))
  expect((await ingest.post(sale('during'), { authorization: `Bearer ${token}` })).status).toBe(202)
  expect(ingest.limit.peakBytes).toBeLessThan(POD * 0.75)
})

it('holds all connections that it accepts with TLS', LONG, async () => {
  const folder = ownFolder('tls')
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=a']
  execFileSync('openssl', [...args, '-keyout', key, '-out', cert], { stdio: 'ignore' })
  const ingest = await withTopic('--tls-cert', cert, '--tls-key', key)
  const options = { host: '127.0.0.1', port: Number(new URL(ingest.url).port), rejectUnauthorized: false }
  const sockets: TLSSocket[] = []
  while (sockets.length < 1900) {
    const opened = Array.from({ length: 100 }, () => connectTls(options).on('error', () => {}))
    sockets.push(...opened)
    await Promise.all(opened.map(socket => once(socket, 'secureConnect')))
  }
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
  })
  expect(sockets.filter(socket => socket.closed).length).toBe(0)
  expect(ingest.limit.peakBytes).toBeLessThan(POD * 0.75)
})

type IngestProgram = Awaited<ReturnType<typeof startIngest>>

/** Sends requests that wait for Kafka; resolves with their statuses. */
const WAITING: Record<string, (ingest: IngestProgram) => Promise<number[]>> = {
  'with thousands of sales, 150 at a time': ingest => posted(ingest, 150, filled(minimal(), MIB)),
  'with thousands of sales, 300 at a time': ingest => posted(ingest, 300, filled(minimal(), MIB)),
  'with a large sale, 150 at a time': ingest => posted(ingest, 150, minimal({ note: 'x'.repeat(MIB - 1000) })),
  'with a large sale, 300 at a time': ingest => posted(ingest, 300, minimal({ note: 'x'.repeat(MIB - 1000) })),
  'with a small sale on few connections': async ({ url, seen }) => {
    const { port, pathname } = new URL(url)
    const [body, requests] = [minimal(), 1000]
    const head = `POST ${pathname} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`
    const connections = Array.from({ length: 20 }, async () => {
      const socket = connect(Number(port), '127.0.0.1')
      socket.write((head + body).repeat(requests))
      let received = ''
      for await (const chunk of socket) {
        received += chunk
        const statuses = [...received.matchAll(/HTTP\/1.1 (\d+)/g)].map(([, status]) => Number(status))
        for (const status of statuses) seen.add(status)
        if (statuses.length === requests) return statuses
      }
      throw new Error(`a connection ended early; it received ${received.slice(-500)}`)
    })
    return (await Promise.all(connections)).flat()
  },
}

const minimal = (more: Record<string, unknown> = {}) =>
  JSON.stringify({ ...JSON.parse(sale('1')), category: '', payment_method: '', store_id: '', amount: 0, ...more })

async function posted(ingest: IngestProgram, requests: number, body: string): Promise<number[]> {
  const answers = await Promise.all(Array.from({ length: requests }, () => ingest.post(body)))
  return answers.map(({ status }) => status)
}

it('refuses requests while others wait for a Kafka that has stopped', { timeout: 600_000 }, async () => {
  const broker = await ownKafka('ingest-memory')
  onTestFinished(() => broker.stop())
  onTestFinished(() => void process.kill(broker.pid, 'SIGCONT'))
  for (const [kind, send] of Object.entries(WAITING)) {
    const topic = unique('stopped')
    await createTopic(broker.bootstrap, topic, 2)
    // 300 MiB may arrive slowly on a busy machine, and that has an answer of its own (408).
    const patience = ['--answer-within', '240s', '--receive-within', '240s']
    const ingest = await startIngest(broker.bootstrap, topic, ...patience)
    expect((await ingest.post(sale('before'))).status).toBe(202)
    await pauseProcess(broker.pid)
    const statuses = send(ingest)
    await until('requests are refused', () => ingest.seen.has(429))
    process.kill(broker.pid, 'SIGCONT')
    expect([kind, ...new Set(await statuses)].sort()).toEqual([202, 429, kind])
    await until('a sale is accepted', async () => (await ingest.post(sale('after'))).status === 202)
    expect([kind, ingest.limit.peakBytes]).toEqual([kind, expect.toSatisfy(bytes => bytes < POD * 0.75)])
  }
})
