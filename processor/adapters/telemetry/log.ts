/** Logs JSON lines to stdout (pino). */
import { type DestinationStream, type Logger, pino, stdTimeFunctions } from 'pino'
import { stdoutForLog } from '#common/log-destination.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'

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
