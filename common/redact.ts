/**
 * Removes credentials from text before it leaves the process: logs, conditions, status, answers and errors of commands. A
 * server may echo what it was sent, for example a URL with a password, a header or a line of a configuration.
 */

const REDACTED = '[redacted]'
/** Deeper objects are library internals (sockets, clients), which do not belong in a log line. */
const MAX_DEPTH = 5
/** Characters of a server's text in a message of ours: enough for the cause, and not a page of a proxy. */
const MAX_SERVER_TEXT = 1000
/** Characters of one text in a log line, a condition or a bug report: enough for a stack with its causes. */
const MAX_TEXT = 8000
/** A shorter value occurs in words and numbers by chance, and protects nothing. */
const MIN_SECRET = 3
/** A shorter value is redacted only as a whole word. */
const LONG_SECRET = 8

const SECRET_NAME = /passw|secret|token|credential|authorization|api_?key/i
const SPECIAL = /[\\^$.*+?()[\]{}|/-]/g
const PATTERNS: [pattern: RegExp, replacement: string][] = [
  // JSON Web Tokens change too often to be remembered.
  [/\beyJ[\w-]+\.[\w-]+\.[\w-]*/g, REDACTED],
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(-----END [A-Z ]*PRIVATE KEY-----|$)/g, REDACTED],
  [/(\w:\/\/)[^\s/?#"'<>]*@/g, `$1${REDACTED}@`],
  [/(authorization["']?\s*[:=]\s*["']?)[^"'\r\n,;}]+/gi, `$1${REDACTED}`],
  [/\b(Basic|Bearer|ApiKey)\s+(?=\S{0,200}[\d=])[\w+/=.~-]{6,}/gi, `$1 ${REDACTED}`],
  [
    /((?:passw(?:or)?d|pwd|passphrase|secret|token|api[-_]?key|credentials?)(?![\w-]{0,40}Ref\b|Missing\b)[\w-]{0,40}["']?\s*[:=]\s*)("(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|[^\s,;&})\]]+)/gi,
    `$1${REDACTED}`,
  ],
]

/** The longest first: a secret can contain another. */
let known: [secret: string, pattern: RegExp][] = []

/** Call it with each secret that the process reads. Returns the value. */
export function rememberSecret<T extends string | undefined>(value: T): T {
  if (value === undefined || value.trim().length < MIN_SECRET) return value
  const forms = [value, value.trim(), encodeURIComponent(value), JSON.stringify(value).slice(1, -1)]
  const patterns = new Map([...known, ...forms.map((form): [string, RegExp] => [form, patternOf(form)])])
  known = [...patterns].sort(([a], [b]) => b.length - a.length)
  return value
}

/** For tests that share a process. */
export function forgetSecrets(): void {
  known = []
}

function patternOf(secret: string): RegExp {
  const text = secret.replace(SPECIAL, '\\$&')
  return new RegExp(secret.length < LONG_SECRET ? `(?<!\\w)${text}(?!\\w)` : text, 'g')
}

/** Returns the text without known secrets and everything that looks like a credential. */
export function redactText(text: string): string {
  const withoutKnown = known.reduce((rest, [, pattern]) => rest.replace(pattern, REDACTED), text)
  return PATTERNS.reduce((rest, [pattern, replacement]) => rest.replace(pattern, replacement), withoutKnown)
}

/** Returns a text from another program as one line of bounded length, without credentials. */
export function serverText(text: string): string {
  return shortened(redactText(text).replace(/\s+/g, ' ').trim(), MAX_SERVER_TEXT)
}

/** Returns a text for a log line or a condition, without credentials and of bounded length. */
export function reportText(text: string): string {
  return shortened(redactText(text), MAX_TEXT)
}

/** Redaction comes first: a secret that is cut in two would not be found. */
function shortened(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length)}…` : text
}

/** Returns a copy without credentials (also those in a field with such a name), with errors as plain objects. */
export function redact(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return reportText(value)
  if (typeof value === 'bigint') return value.toString()
  if (typeof value !== 'object' || value === null) return value
  if (depth === MAX_DEPTH) return '[…]'
  if (value instanceof Error) return redact(describe(value), depth)
  if (Array.isArray(value)) return value.map(item => redact(item, depth + 1))
  return Object.fromEntries(
    Object.entries(value).map(([key, v]) => [key, SECRET_NAME.test(key) ? REDACTED : redact(v, depth + 1)]),
  )
}

/** Returns an error's fields, including those that are not enumerable. */
function describe(error: Error): Record<string, unknown> {
  const { name, message, stack, cause } = error
  return { ...error, name, message, stack, ...(cause === undefined ? {} : { cause }) }
}
