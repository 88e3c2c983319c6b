import { describe, expect, it } from 'vitest'
import { WorkQueue } from '#operator/runtime/queue.ts'

/** A clock that advances only on demand and wakes sleepers in order. */
function virtualClock() {
  let now = 0
  const sleepers: { at: number; wake: () => void }[] = []
  return {
    now: () => now,
    sleep: (ms: number, signal?: AbortSignal) =>
      new Promise<void>(resolve => {
        const sleeper = { at: now + ms, wake: resolve }
        sleepers.push(sleeper)
        signal?.addEventListener('abort', () => {
          sleepers.splice(sleepers.indexOf(sleeper), 1)
          resolve()
        })
      }),
    async advance(ms: number) {
      const end = now + ms
      for (;;) {
        for (let i = 0; i < 20; i++) await new Promise(setImmediate)
        const next = sleepers.sort((a, b) => a.at - b.at)[0]
        if (!next || next.at > end) break
        now = next.at
        sleepers.shift()
        next.wake()
      }
      now = end
      for (let i = 0; i < 20; i++) await new Promise(setImmediate)
    },
  }
}

function rig(work: (key: string) => Promise<number | undefined>, workers = 2) {
  const clock = virtualClock()
  const queue = new WorkQueue(clock, { next: () => 1 })
  const stopping = new AbortController()
  const failures: string[] = []
  const onFailure = (key: string, error: unknown, retryInMs: number) =>
    void failures.push(`${key} ${(error as Error).message} ${retryInMs}`)
  const ended = queue.run(workers, work, onFailure, stopping.signal)
  const stop = () => {
    stopping.abort()
    return ended
  }
  return { clock, queue, failures, stop }
}

describe('the work queue', () => {
  it('queues a key once, however often it is added', async () => {
    const done: string[] = []
    const { clock, queue, stop } = rig(async key => void done.push(key) as undefined)
    for (const key of ['a', 'b', 'a', 'a']) queue.add(key)
    await clock.advance(0)
    expect(done).toEqual(['a', 'b'])
    await stop()
  })

  it('lets timers and sockets take turns with keys, so that the Lease does not expire however many keys there are', async () => {
    let [done, turns] = [0, 0]
    const { queue, stop } = rig(async () => void done++ as undefined)
    for (let i = 0; i < 100; i++) queue.add(`${i}`)
    while (done < 100) {
      await new Promise(setImmediate)
      turns++
    }
    expect(turns).toBeGreaterThan(30)
    await stop()
  })

  it('never processes a key twice at a time, and repeats it when it was added meanwhile', async () => {
    const inFlight = new Set<string>()
    let [maxInFlight, runs] = [0, 0]
    const { clock, queue, stop } = rig(async key => {
      expect(inFlight.has(key)).toBe(false)
      inFlight.add(key)
      maxInFlight = Math.max(maxInFlight, inFlight.size)
      if (runs++ === 0) for (const added of ['a', 'a', 'b']) queue.add(added)
      await clock.sleep(10)
      inFlight.delete(key)
      return undefined
    })
    queue.add('a')
    await clock.advance(100)
    expect({ maxInFlight, runs }).toEqual({ maxInFlight: 2, runs: 3 })
    await stop()
  })

  it('processes at most the given number of keys at a time', async () => {
    let [inFlight, maxInFlight] = [0, 0]
    const { clock, queue, stop } = rig(async () => {
      maxInFlight = Math.max(maxInFlight, ++inFlight)
      await clock.sleep(10)
      inFlight--
      return undefined
    }, 3)
    for (let i = 0; i < 10; i++) queue.add(`k${i}`)
    await clock.advance(1000)
    expect(maxInFlight).toBe(3)
    await stop()
  })

  it('retries a failing key with a growing delay, which a success resets', async () => {
    let fail = true
    const { clock, queue, failures, stop } = rig(async () => {
      if (fail) throw new Error('no')
      return undefined
    })
    queue.add('a')
    await clock.advance(1500)
    expect(failures).toEqual(['a no 200', 'a no 400', 'a no 800', 'a no 1600'])
    fail = false
    await clock.advance(2000)
    fail = true
    queue.add('a')
    await clock.advance(0)
    expect(failures.at(-1)).toBe('a no 200')
    await stop()
  })

  it('requeues a key after the requested time, and at the sooner of two times', async () => {
    const at: number[] = []
    const { clock, queue, stop } = rig(async () => {
      at.push(clock.now())
      return at.length === 1 ? 500 : undefined
    })
    queue.add('a')
    await clock.advance(100)
    queue.addAfter('a', 1000)
    queue.addAfter('b', 50)
    await clock.advance(5000)
    expect(at).toEqual([0, 150, 500])
    await stop()
  })

  it('finishes the work in flight before it ends on abort', async () => {
    let done = false
    const { clock, queue, stop } = rig(async () => {
      await clock.sleep(10)
      done = true
      return undefined
    })
    queue.add('a')
    await clock.advance(1)
    const ended = stop()
    await clock.advance(20)
    await ended
    expect(done).toBe(true)
  })
})
