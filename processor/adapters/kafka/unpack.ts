/** Turns the bytes of a fetch response into pieces of bounded size, none compressed, whatever the producer sent. */
import { BATCH_HEADER, batchLength, COMPRESSION, CONTROL, type Piece } from '#processor/core/batches.ts'
import { inflate } from './decompress.ts'
import { RecordSplitter, uncompressed } from './record-splitter.ts'

const PIECE_BYTES = 256 << 10

/**
 * Yields the batches of `data` in order. Small uncompressed batches are not copied. A piece ends with the record that
 * reaches `pieceBytes`. Throws an Error (while iterated) if a batch is broken.
 */
export async function* unpack(data: Buffer, pieceBytes = PIECE_BYTES): AsyncGenerator<Piece> {
  let from = 0
  let at = 0
  for (let length: number; (length = batchLength(data, at)) > 0; at += length) {
    const ready = isReady(data, at, length, pieceBytes)
    if (at > from && (at - from >= pieceBytes || !ready)) {
      yield { data: data.subarray(from, at), cut: null }
      from = at
    }
    if (ready) continue
    yield* split(data.subarray(at, at + length), pieceBytes)
    from = at + length
  }
  if (at > from) yield { data: data.subarray(from, at), cut: null }
}

function isReady(data: Buffer, at: number, length: number, pieceBytes: number): boolean {
  const attributes = data.readInt16BE(at + 21)
  return (attributes & CONTROL) !== 0 || (length <= pieceBytes && (attributes & COMPRESSION) === 0)
}

async function* split(batch: Buffer, pieceBytes: number): AsyncGenerator<Piece> {
  const held: Buffer[] = []
  let size = 0
  let splitter: RecordSplitter | null = null
  for await (const chunk of inflate(batch.readInt16BE(21) & COMPRESSION, batch.subarray(BATCH_HEADER))) {
    size += chunk.length
    if (size <= pieceBytes) held.push(chunk)
    else {
      splitter ??= new RecordSplitter(batch, pieceBytes)
      for (const part of [...held.splice(0), chunk]) yield* splitter.push(part)
    }
  }
  // Most batches are small. Their records are not looked at here.
  yield splitter ? splitter.finish() : { data: uncompressed(batch, held), cut: null }
}
