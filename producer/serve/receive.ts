/** Receives the body of a request. */
import type { IncomingMessage } from 'node:http'
import { decoded, tooLarge } from './content-encoding.ts'
import { Refusal } from './refusal.ts'

/**
 * Resolves with the decompressed body. `take` gets the number of bytes before they are kept, and throws to refuse them.
 * Rejects with Refusal: 400, 413, 415 or what `take` throws.
 */
export async function receive(
  request: IncomingMessage,
  maxBytes: number,
  take: (bytes: number) => void,
): Promise<Buffer> {
  try {
    const body = await bytesOf(request, maxBytes, take)
    const plain = decoded(body, request.headers['content-encoding'], maxBytes)
    if (plain !== body) take(plain.length)
    return plain
  } finally {
    // Reads and drops what is left of a refused body: a client that is still sending would not read the response.
    request.resume()
  }
}

async function bytesOf(request: IncomingMessage, maxBytes: number, take: (bytes: number) => void): Promise<Buffer> {
  if (Number(request.headers['content-length']) > maxBytes) throw tooLarge(maxBytes)
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of unbroken(request)) {
    length += chunk.length
    if (length > maxBytes) throw tooLarge(maxBytes)
    take(chunk.length)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, length)
}

async function* unbroken(request: IncomingMessage): AsyncGenerator<Buffer> {
  try {
    // The request must outlive an early end of the loop: destroying it closes the connection before the response is sent.
    yield* request.iterator({ destroyOnReturn: false })
  } catch {
    throw new Refusal(400, 'the connection ended before the whole body had arrived')
  }
}
