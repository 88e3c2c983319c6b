import { describe, expect, it } from 'vitest'
import { reportBusy, workedMs } from '#processor/adapters/telemetry/busy.ts'

describe('time spent working', () => {
  it.each([
    ['without a limit is what the event loop was active', 300, 900, undefined, 300],
    ['under a limit is the share of it that was used', 60, 60, 100, 600],
    ['where the kernel held the process up is what the event loop was active', 900, 100, 200, 900],
  ])('%s', (_what, active, cpu, millis, worked) => expect(workedMs(active, cpu, millis)).toBe(worked))

  it('is measured while it passes, and no longer than it is asked for', async () => {
    const stop = new AbortController()
    const told: [number, number][] = []
    reportBusy(undefined, (worked, elapsed) => told.push([worked, elapsed]), stop.signal)
    while (told.length < 2) {
      const until = performance.now() + 30
      while (performance.now() < until);
      await new Promise(resolve => setTimeout(resolve, 30))
    }
    stop.abort()
    const [worked, elapsed] = told[1]!
    expect(worked).toBeGreaterThan(elapsed * 0.2)
    expect(worked).toBeLessThan(elapsed)
    await new Promise(resolve => setTimeout(resolve, 1500))
    expect(told.length).toBe(2)
  })
})
