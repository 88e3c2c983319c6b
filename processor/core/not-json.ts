/** Describes what a value that is not JSON looks like, for people. No verdict depends on it. */

/** Characters of the value that are shown. */
const MAX_SHOWN = 20
/** Bytes that are looked at: a fault far behind the start says little. */
const MAX_BYTES = 65_536

const CONFLUENT_HEADER_BYTES = 5

const TOKEN =
  /[ \t\n\r]+|"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])|(?:true|false|null)(?!\w)|[[\]{},:]/y

/** Returns what the value looks like and what to do, such as "NaN at byte 41; send one JSON object per record". */
export function describeNotJson(bytes: Buffer): string {
  return encodingOf(bytes) ?? firstFault(bytes.toString('latin1', 0, MAX_BYTES), bytes.length)
}

function encodingOf(bytes: Buffer): string | null {
  const begins = (...prefix: number[]) => prefix.every((byte, i) => bytes[i] === byte)
  if (begins(0xef, 0xbb, 0xbf)) return 'begins with a UTF-8 byte-order mark; send the JSON without it'
  if (begins(0xff, 0xfe) || begins(0xfe, 0xff)) return 'begins with a UTF-16 byte-order mark; send UTF-8'
  if (bytes[0] === 0 && bytes.length >= CONFLUENT_HEADER_BYTES)
    return `Confluent wire format, schema id ${bytes.readUInt32BE(1)}; configure the producer to send JSON without a schema registry`
  return null
}

/** `text`: one character for each byte, so that positions are those of bytes. */
function firstFault(text: string, length: number): string {
  let at = 0
  while (at < text.length) {
    TOKEN.lastIndex = at
    if (!TOKEN.test(text)) return faultAt(text, at)
    at = TOKEN.lastIndex
  }
  return `its brackets, commas or colons are not JSON, or it is cut off (${length} bytes); look at the payload`
}

function faultAt(text: string, at: number): string {
  if (text[at] === "'") return `a single quote at byte ${at}, as Python prints values; use json.dumps`
  const [word] = /^[\w.+-]+/.exec(text.slice(at, at + MAX_SHOWN)) ?? []
  return `${word ?? escaped(text.slice(at, at + MAX_SHOWN))} at byte ${at}; send one JSON object per record`
}

/** Returns text that is safe to show: bytes other than printable ASCII as \xNN. */
function escaped(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, byte => `\\x${byte.charCodeAt(0).toString(16).padStart(2, '0')}`)
}
