/**
 * Posts prepared requests over a fixed number of connections, each with one request in flight. It writes ready bytes and
 * reads only status and length of a response, so that it needs little of the CPU that it shares with the server.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** `latencies`: ms, one for each request. */
export type Posted = { requests: number; seconds: number; latencies: number[] }

/** Returns the bytes of a POST with a JSON body. */
export function postOf(url: URL, body: string): Buffer {
  const head = [
    `POST ${url.pathname} HTTP/1.1`,
    `host: ${url.host}`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
  ]
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`)
}

/** Posts `requests` in turn for that many seconds. Throws when a response is not 202. */
export async function postFor(url: URL, requests: Buffer[], connections: number, seconds: number): Promise<Posted> {
  const latencies: number[] = []
  const startedAt = performance.now()
  const until = startedAt + seconds * 1000
  let next = 0
  const client = async () => {
    const socket = connect({ host: url.hostname, port: Number(url.port), noDelay: true })
    await once(socket, 'connect')
    while (performance.now() < until) {
      const sentAt = performance.now()
      const response = await exchange(socket, requests[next++ % requests.length]!)
      if (!response.startsWith('HTTP/1.1 202')) throw new Error(`the ingest returned ${response}`)
      latencies.push(performance.now() - sentAt)
    }
    socket.destroy()
  }
  await Promise.all(Array.from({ length: connections }, client))
  return { requests: latencies.length, seconds: (performance.now() - startedAt) / 1000, latencies }
}

/** Resolves with the text of the response. */
function exchange(socket: Socket, request: Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const onData = (chunk: Buffer) => {
      text += chunk.toString('latin1')
      if (!isWhole(text)) return
      socket.off('data', onData).off('close', onClose)
      resolve(text)
    }
    const onClose = () => reject(new Error('the ingest closed the connection'))
    socket.on('data', onData).once('close', onClose)
    socket.write(request)
  })
}

function isWhole(text: string): boolean {
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) return false
  const [, length = '0'] = /\r\ncontent-length: (\d+)/i.exec(text.slice(0, end)) ?? []
  return text.length >= end + 4 + Number(length)
}
