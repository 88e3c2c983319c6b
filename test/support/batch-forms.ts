/** Unusual forms of compressed records. A real broker decides which of them are stored (test/integrity/codecs.test.ts). */
import { crc32, deflateRawSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { JAVA_SNAPPY, LZ4, SNAPPY } from './codecs.ts'

type Compress = (body: Buffer) => Buffer
type Form = [name: string, compression: { codec: number; compress: Compress }]

const gzip: Compress = body => gzipSync(body)
const zstd: Compress = body => zstdCompressSync(body)
const [java, lz4] = [JAVA_SNAPPY.compress, LZ4.compress]

const NONE: Buffer = Buffer.alloc(0)

/** Divides the records in the middle of one, with something between both parts. */
const halves =
  (compress: Compress, between: Buffer = NONE): Compress =>
  body => {
    const middle = body.length >> 1
    return Buffer.concat([compress(body.subarray(0, middle)), between, compress(body.subarray(middle))])
  }
const followed =
  (compress: Compress, tail: Buffer): Compress =>
  body =>
    Buffer.concat([compress(body), tail])
const cut =
  (compress: Compress, bytes: number): Compress =>
  body =>
    compress(body).subarray(0, -bytes)

const GARBAGE = Buffer.from('this is not compressed at all')
const SKIPPABLE = Buffer.concat([Buffer.from('502a4d1804000000', 'hex'), Buffer.from('skip')])
const JAVA_HEADER = Buffer.from('82534e41505059000000000100000001', 'hex')
const ZSTD_MAGIC = Buffer.from('28b52ffd', 'hex')
const EMPTY_BLOCK = Buffer.of(0, 0, 0, 1, 0)

const FLAG = { headerChecksum: 2, extra: 4, name: 8, comment: 16, reserved: 0xe0 }

/** A gzip member with these flags. `wrong`: what to change in the checksum of its header. */
function member(flags: number, wrong = 0): Compress {
  return body => {
    const parts: Buffer[] = [Buffer.of(0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 3)]
    if (flags & FLAG.extra) parts.push(Buffer.of(3, 0), Buffer.from('xyz'))
    if (flags & FLAG.name) parts.push(Buffer.from('name\0'))
    if (flags & FLAG.comment) parts.push(Buffer.from('comment\0'))
    if (flags & FLAG.headerChecksum) parts.push(uint(2, (crc32(Buffer.concat(parts)) & 0xffff) ^ wrong))
    return Buffer.concat([...parts, deflateRawSync(body), uint(4, crc32(body)), uint(4, body.length)])
  }
}

function uint(bytes: number, value: number): Buffer {
  const buffer = Buffer.alloc(bytes)
  buffer.writeUIntLE(value, 0, bytes)
  return buffer
}

const formOf =
  (codec: number) =>
  ([name, compress]: [string, Compress]): Form => [name, { codec, compress }]

export const STORED_FORMS: Form[] = [
  ...(
    [
      ['gzip in two members', halves(gzip)],
      ['gzip with an empty member', halves(gzip, gzip(NONE))],
      ['gzip, then zeros', followed(gzip, Buffer.alloc(40))],
      ['gzip, then garbage', followed(gzip, GARBAGE)],
      ['gzip, then a part of a header', followed(gzip, Buffer.of(0x1f, 0x8b, 0xff))],
      ['gzip, then a part of a member', followed(gzip, gzip(GARBAGE).subarray(0, 15))],
      ['gzip, then a header with a wrong checksum', followed(gzip, member(FLAG.headerChecksum, 1)(GARBAGE))],
      ['gzip with all fields of a header', member(FLAG.headerChecksum | FLAG.extra | FLAG.name | FLAG.comment)],
      ['gzip with flags without a meaning', member(FLAG.reserved)],
    ] as [string, Compress][]
  ).map(formOf(1)),
  ...(
    [
      ['Java’s snappy in two streams', halves(java)],
      ['Java’s snappy with an empty block', halves(java, EMPTY_BLOCK)],
      ['Java’s snappy, then a header', followed(java, JAVA_HEADER)],
      ['Java’s snappy, then one byte', followed(java, Buffer.of(9))],
      ['Java’s snappy, then three bytes', followed(java, Buffer.of(0, 0, 1))],
    ] as [string, Compress][]
  ).map(formOf(2)),
  ...(
    [
      ['lz4, then garbage', followed(lz4, GARBAGE)],
      ['lz4, then an empty frame', followed(lz4, lz4(NONE))],
    ] as [string, Compress][]
  ).map(formOf(3)),
  ...(
    [
      ['zstd in two frames', halves(zstd)],
      ['zstd with an empty frame', halves(zstd, zstd(NONE))],
      ['zstd after a skippable frame', body => Buffer.concat([SKIPPABLE, zstd(body)])],
      ['zstd with a skippable frame', halves(zstd, SKIPPABLE)],
      ['zstd, then a skippable frame', followed(zstd, SKIPPABLE)],
      ['zstd, then a part of a skippable frame', followed(zstd, SKIPPABLE.subarray(0, 9))],
      ['zstd, then the start of a frame', followed(zstd, ZSTD_MAGIC)],
      ['zstd, then a part of a frame', followed(zstd, zstd(GARBAGE).subarray(0, 6))],
    ] as [string, Compress][]
  ).map(formOf(4)),
]

export const REFUSED_FORMS: Form[] = [
  ...(
    [
      ['gzip that ends early', cut(gzip, 9)],
      [
        'gzip, then a broken member',
        followed(gzip, Buffer.concat([Buffer.of(0x1f, 0x8b, 8, 0), Buffer.alloc(40, 255)])),
      ],
    ] as [string, Compress][]
  ).map(formOf(1)),
  ...(
    [
      ['snappy, then garbage', followed(SNAPPY.compress, GARBAGE)],
      ['Java’s snappy that ends early', cut(java, 3)],
      ['Java’s snappy, then a part of a header', followed(java, JAVA_HEADER.subarray(0, 8))],
      ['Java’s snappy, then garbage', followed(java, GARBAGE)],
    ] as [string, Compress][]
  ).map(formOf(2)),
  ...(
    [
      ['lz4 in two frames', halves(lz4)],
      ['lz4 without an end', cut(lz4, 4)],
    ] as [string, Compress][]
  ).map(formOf(3)),
  ...(
    [
      ['zstd that ends early', cut(zstd, 3)],
      ['zstd, then garbage', followed(zstd, GARBAGE)],
    ] as [string, Compress][]
  ).map(formOf(4)),
]
