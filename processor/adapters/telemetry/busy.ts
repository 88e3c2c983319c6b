/** How much of its time the process works: what records per second of work, the true rate, are measured by. */
import { performance } from 'node:perf_hooks'

const EVERY_MS = 1000

/**
 * Tells every second, until the signal aborts. `cpuMillis`: thousandths of a CPU that the process may use, if limited.
 * The event loop knows when it was not waiting; under a limit the CPU's share counts where it is greater, since the
 * kernel stops a process that has used its own up, however idle its loop was until then.
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

/** All in ms but the limit. */
export function workedMs(active: number, cpu: number, cpuMillis: number | undefined): number {
  return cpuMillis === undefined ? active : Math.max(active, (cpu * 1000) / cpuMillis)
}
