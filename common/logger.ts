/** The one format of our logs: JSON lines with the name of the level and the time in ISO 8601. */
import { type DestinationStream, type Logger, pino, stdTimeFunctions } from 'pino'
import { stdoutForLog } from './log-destination.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'

/** Options of pino. */
export const LOG_FORMAT = {
  timestamp: stdTimeFunctions.isoTime,
  formatters: { level: (label: string) => ({ level: label }) },
}

/** `base`: fields of every line. `destination`: default stdout. */
export function createLogger(
  level: LogLevel,
  base: Record<string, string>,
  destination: DestinationStream = stdoutForLog(),
): Logger {
  // redact() has described the error already; pino's own serializer would flatten its causes into one message.
  const serializers = { err: (described: unknown) => described }
  return pino({ level, base, serializers, ...LOG_FORMAT }, destination)
}
