import { describe, expect, it } from 'vitest'
import { reportBusy, workedMs } from '#processor/adapters/telemetry/busy.ts'

describe('workedMs and reportBusy', () => {
  it.each([
    ['the event loop’s active time without a CPU limit', 300, 900, undefined, 300],
    ['the used share of a CPU limit', 60, 60, 100, 600],
    ['the event loop’s active time where the kernel throttled the process', 900, 100, 200, 900],
  ])('returns %s', (_what, active, cpu, millis, worked) => expect(workedMs(active, cpu, millis)).toBe(worked))

  it('reports the time worked every second until the signal aborts', async () => {
    const stop = new AbortController()
    const reports: [number, number][] = []
    reportBusy(undefined, (worked, elapsed) => reports.push([worked, elapsed]), stop.signal)
    while (reports.length < 2) {
      const until = performance.now() + 30
      while (performance.now() < until);
      await new Promise(resolve => setTimeout(resolve, 30))
    }
    stop.abort()
    const [worked, elapsed] = reports[1]!
    expect(worked).toBeGreaterThan(elapsed * 0.2)
    expect(worked).toBeLessThan(elapsed)
    await new Promise(resolve => setTimeout(resolve, 1500))
    expect(reports.length).toBe(2)
  })
})
