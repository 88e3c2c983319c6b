/**
 * Decompresses gzip by RFC 1952, with the tolerance of Java's clients, which brokers share: after the first member, whatever is
 * not another whole member is left out, and bits without a meaning in a header are ignored.
 */
import { crc32, inflateRawSync } from 'node:zlib'

/** Before the optional fields: magic, method, flags, time, extra flags, system. */
const FIXED = 10
/** Checksum and size of the content. */
const TRAILER = 8
const FLAG = { headerChecksum: 2, extra: 4, name: 8, comment: 16 }

interface Member {
  content: Buffer
  /** Where the next member may begin. */
  end: number
}

/** Throws an Error when the first member is not valid. */
export function decompressGzip(bytes: Buffer): Buffer {
  const first = readMember(bytes, 0)
  const contents = [first.content]
  for (let at = first.end; at < bytes.length; ) {
    let member: Member
    try {
      member = readMember(bytes, at)
    } catch {
      break
    }
    contents.push(member.content)
    at = member.end
  }
  return Buffer.concat(contents)
}

function readMember(bytes: Buffer, start: number): Member {
  const deflated = skipHeader(bytes, start)
  // The types of Node do not know the result with `info`.
  const inflated: unknown = inflateRawSync(bytes.subarray(deflated), { info: true })
  const { buffer, engine } = inflated as { buffer: Buffer; engine: { bytesWritten: number } }
  const trailer = deflated + engine.bytesWritten
  if (bytes.readUInt32LE(trailer) !== crc32(buffer)) throw new Error('the checksum of gzip data is wrong')
  return { content: buffer, end: trailer + TRAILER }
}

/** Returns the position after the header. Throws an Error for a header that is cut off or not valid. */
function skipHeader(bytes: Buffer, start: number): number {
  if (bytes.readUInt16BE(start) !== 0x1f8b || bytes.readUInt8(start + 2) !== 8) throw new Error('the data is not gzip')
  const flags = bytes.readUInt8(start + 3)
  let at = start + FIXED
  if (flags & FLAG.extra) at += 2 + bytes.readUInt16LE(at)
  if (flags & FLAG.name) at = afterText(bytes, at)
  if (flags & FLAG.comment) at = afterText(bytes, at)
  if (!(flags & FLAG.headerChecksum)) return at
  if (bytes.readUInt16LE(at) !== crc32(bytes.subarray(start, at)) % 65536)
    throw new Error('the checksum of a gzip header is wrong')
  return at + 2
}

function afterText(bytes: Buffer, start: number): number {
  let at = start
  while (bytes.readUInt8(at) !== 0) at++
  return at + 1
}
