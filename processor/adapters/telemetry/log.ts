/** Logs JSON lines to stdout (pino) and redacts everything that looks like a credential. */
import { type DestinationStream, type Logger, pino, stdTimeFunctions } from 'pino'
import { stdoutForLog } from '#common/log-destination.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'

const SECRET_NAME = /passw|secret|token|credential|authorization/i
const SECRET_IN_URL = /(\w:\/\/)[^\s/@]*:[^\s/@]*@/g
const REDACTED = '[redacted]'
/** Deeper objects are library internals (sockets, clients), which do not belong in a log line. */
const MAX_DEPTH = 5

/** `base`: fields of every line. `destination`: default stdout. */
export function createLogger(
  level: LogLevel,
  base: Record<string, string>,
  destination: DestinationStream = stdoutForLog(),
): Logger {
  // redact() has described the error already; pino's own serializer would flatten its causes into one message.
  const serializers = { err: (described: unknown) => described }
  const options = { level, base, serializers, timestamp: stdTimeFunctions.isoTime, formatters: { level: levelName } }
  return pino(options, destination)
}

function levelName(label: string) {
  return { level: label }
}

/** Returns a copy with secrets redacted (by name at any depth, user:password in URLs) and errors as plain objects. */
export function redact(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return value.replace(SECRET_IN_URL, `$1${REDACTED}@`)
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
