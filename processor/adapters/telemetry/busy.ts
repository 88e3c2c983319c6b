/** Measures how much of its time the process works. Records per second of work are the true rate. */
import { performance } from 'node:perf_hooks'

const EVERY_MS = 1000

/**
 * Calls `busy` every second until the signal aborts. `cpuMillis`: CPU limit in thousandths of a CPU, if there is one.
 * The time worked is the event loop's active time. Under a CPU limit it is the used share of the limit if that is
 * greater, because the kernel throttles a process that has used up its limit, however idle its event loop was.
 */
export function reportBusy(
  cpuMillis: number | undefined,
  busy: (workedMs: number, elapsedMs: number) => void,
  signal: AbortSignal,
): void {
  let loop = performance.eventLoopUtilization()
  let cpu = process.cpuUsage()
  const timer = setInterval(() => {
    const { active, idle } = performance.eventLoopUtilization(loop)
    const { user, system } = process.cpuUsage(cpu)
    loop = performance.eventLoopUtilization()
    cpu = process.cpuUsage()
    busy(workedMs(active, (user + system) / 1000, cpuMillis), active + idle)
  }, EVERY_MS)
  signal.addEventListener('abort', () => clearInterval(timer), { once: true })
}

/** Returns the time worked. All times in ms. */
export function workedMs(active: number, cpu: number, cpuMillis: number | undefined): number {
  return cpuMillis === undefined ? active : Math.max(active, (cpu * 1000) / cpuMillis)
}
