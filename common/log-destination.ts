/** Where the JSON log lines of our processes go. */
import { type DestinationStream, pino } from 'pino'

/**
 * Returns stdout. Each line is written before the call that logs it returns: pino's default writes in the background,
 * so that a process that exits loses the line that is being written, or writes it after later ones.
 */
export function stdoutForLog(): DestinationStream {
  return pino.destination({ dest: 1, sync: true })
}
