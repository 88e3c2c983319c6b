/**
 * A plain JSON reader over bytes. Numbers keep their source text and strings their source bytes, because the contract
 * judges both: sums never pass through binary floating point, and only strings that are used must be valid.
 */

export class JsonNumber {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

export class JsonString {
  /** The text between the quotes, one character per byte. */
  readonly raw: string
  constructor(raw: string) {
    this.raw = raw
  }
}

export type Json = null | boolean | JsonNumber | JsonString | Json[] | Map<string, Json>

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y
const WHOLE_NUMBER = new RegExp(`^(?:${NUMBER.source})$`)
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y
const ESCAPES: Record<string, string> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' }

/**
 * Returns how deep arrays and objects nest in the bytes, and how many values they have if they are JSON, those in arrays
 * and objects included. It recurses into nothing, so any bytes can be measured before they are parsed.
 */
export function measure(source: Buffer): { nesting: number; values: number } {
  let depth = 0
  let nesting = 0
  let values = 1
  let quoted = false
  for (let at = 0; at < source.length; at++) {
    const byte = source[at]
    if (quoted && byte === 0x5c) at++
    else if (byte === 0x22) quoted = !quoted
    else if (quoted) continue
    else if (byte === 0x2c) values++
    else if (byte === 0x5b || byte === 0x7b) {
      values++
      nesting = Math.max(nesting, ++depth)
    } else if (byte === 0x5d || byte === 0x7d) depth--
  }
  return { nesting, values }
}

/** Returns the value, or undefined when the bytes are not JSON. The last of duplicate keys wins. */
export function parseJson(source: Buffer): Json | undefined {
  try {
    return new Parser(source.toString('latin1')).document()
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

class Parser {
  private at = 0
  private readonly text: string

  constructor(text: string) {
    this.text = text
  }

  document(): Json {
    const value = this.value()
    if (this.peek() !== '') throw new SyntaxError('unexpected text after the JSON value')
    return value
  }

  /** Returns the next non-blank character without consuming it, or '' at the end. */
  private peek(): string {
    while (' \t\n\r'.includes(this.text[this.at] ?? 'end')) this.at++
    return this.text[this.at] ?? ''
  }

  private consume(character: string): void {
    if (this.peek() !== character) throw new SyntaxError(`expected ${character}`)
    this.at++
  }

  private value(): Json {
    const next = this.peek()
    if (next === '{') return this.object()
    if (next === '[') return this.array()
    if (next === '"') return new JsonString(this.string())
    if (next === 't') return this.word('true', true)
    if (next === 'f') return this.word('false', false)
    if (next === 'n') return this.word('null', null)
    return this.number()
  }

  private word<T>(word: string, value: T): T {
    if (!this.text.startsWith(word, this.at)) throw new SyntaxError(`expected ${word}`)
    this.at += word.length
    return value
  }

  private number(): JsonNumber {
    NUMBER.lastIndex = this.at
    const match = NUMBER.exec(this.text)
    if (!match) throw new SyntaxError('expected a value')
    this.at = NUMBER.lastIndex
    return new JsonNumber(match[0])
  }

  private string(): string {
    const start = ++this.at
    for (;;) {
      const code = this.text.charCodeAt(this.at)
      if (code === 0x22) return this.text.slice(start, this.at++)
      if (code === 0x5c) this.escape()
      else if (code >= 0x20) this.at++
      else throw new SyntaxError('a string has no closing quote, or contains a control character')
    }
  }

  private escape(): void {
    ESCAPE.lastIndex = this.at
    if (!ESCAPE.test(this.text)) throw new SyntaxError('invalid escape sequence after a backslash')
    this.at = ESCAPE.lastIndex
  }

  private array(): Json[] {
    const values: Json[] = []
    this.consume('[')
    if (this.peek() !== ']') {
      values.push(this.value())
      while (this.peek() === ',') {
        this.at++
        values.push(this.value())
      }
    }
    this.consume(']')
    return values
  }

  private object(): Map<string, Json> {
    const members = new Map<string, Json>()
    this.consume('{')
    if (this.peek() !== '}') {
      this.member(members)
      while (this.peek() === ',') {
        this.at++
        this.member(members)
      }
    }
    this.consume('}')
    return members
  }

  private member(members: Map<string, Json>): void {
    if (this.peek() !== '"') throw new SyntaxError('expected a key')
    const key = decode(this.string(), lenient)
    this.consume(':')
    members.set(key, this.value())
  }
}

// ignoreBOM keeps a byte order mark inside a string: it is content, and the decoder would drop it otherwise.
const lenient = new TextDecoder('utf-8', { ignoreBOM: true })
const strict = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true })

function decode(raw: string, decoder: typeof strict): string {
  if (/^[\x20-\x5b\x5d-\x7f]*$/.test(raw)) return raw
  const parts = raw.split(/(\\u[0-9a-fA-F]{4}|\\.)/)
  return parts.map((part, index) => (index % 2 === 1 ? unescaped(part) : plain(part, decoder))).join('')
}

function plain(part: string, decoder: typeof strict): string {
  return decoder.decode(Buffer.from(part, 'latin1'))
}

function unescaped(part: string): string {
  if (part[1] === 'u') return String.fromCharCode(Number.parseInt(part.slice(2), 16))
  return ESCAPES[part[1]!] ?? part[1]!
}

/** Returns the text of a string, or undefined when it has invalid UTF-8, a lone surrogate or U+0000. */
export function textOf(string: JsonString): string | undefined {
  try {
    const text = decode(string.raw, strict)
    return text.isWellFormed() && !text.includes('\0') ? text : undefined
  } catch (error) {
    if (error instanceof TypeError) return undefined
    throw error
  }
}

/** Returns true when a text is exactly a JSON number: no blanks, no `+1`, no `.5`. */
export function isNumber(text: string): boolean {
  return WHOLE_NUMBER.test(text)
}
