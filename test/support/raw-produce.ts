/** Sends record batches as they are, by Kafka's specification: no client would write what a hostile producer does. */
import { once } from 'node:events'
import { connect } from 'node:net'

/** The first version that accepts zstd. */
const VERSION = 7

/** Resolves when the broker, the topic's only one, has stored `batch`. Throws an Error with its error code otherwise. */
export async function produceRaw(bootstrap: string, topic: string, partition: number, batch: Buffer): Promise<void> {
  const [host, port] = bootstrap.split(':')
  const socket = connect(Number(port), host)
  await once(socket, 'connect')
  const client = 'raw'
  const acks = -1
  const request = Buffer.concat([
    ...[int16(0), int16(VERSION), int32(1), string(client)],
    ...[int16(-1), int16(acks), int32(120_000)],
    ...[int32(1), string(topic), int32(1), int32(partition), int32(batch.length), batch],
  ])
  socket.write(Buffer.concat([int32(request.length), request]))
  const chunks: Buffer[] = []
  for await (const chunk of socket) {
    chunks.push(chunk)
    const answer = Buffer.concat(chunks)
    if (answer.length < 4 || answer.length < 4 + answer.readInt32BE(0)) continue
    const error = answer.readInt16BE(4 + 4 + 4 + 2 + topic.length + 4 + 4)
    if (error !== 0) throw new Error(`the broker refused the batch with error ${error}`)
    return
  }
  throw new Error('the broker closed the connection')
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

const string = (text: string) => Buffer.concat([int16(text.length), Buffer.from(text)])
