import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { ServerProcess } from '#local/services/process.ts'
import { SupervisedServer } from '#local/start/supervised-server.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** Replaces a server process: exits on `die`. The starts with the numbers in `failing` (from 1) fail. */
class FakeServer {
  name = 'Kafka'
  logFile = '/logs/kafka.log'
  pid = 0
  starts = 0
  exited: Promise<string> = Promise.resolve('')
  die = (_lastLines: string): void => {}
  readonly #fails: (start: number) => boolean

  constructor(fails: (start: number) => boolean) {
    this.#fails = fails
  }

  async start(): Promise<void> {
    if (this.#fails(++this.starts))
      throw new Error('Kafka exited while starting. Its log ends with:\nfirst line\nkilled')
    this.pid = 100 + this.starts
    this.exited = new Promise(resolve => {
      this.die = lastLines => {
        this.pid = 0
        resolve(lastLines)
      }
    })
  }

  async stop(): Promise<void> {
    this.die('stopped')
  }
}

async function supervise(fails: (start: number) => boolean = () => false) {
  const fake = new FakeServer(fails)
  const lines: string[] = []
  const lost: Error[] = []
  const server = new SupervisedServer({ log: line => lines.push(line), onLost: error => lost.push(error) })
  await server.start(async onStarting => {
    onStarting(fake as never as ServerProcess)
    await fake.start()
    return fake as never as ServerProcess
  })
  return { fake, server, lines, lost }
}

const seconds = (count: number) => vi.advanceTimersByTimeAsync(count * 1000)
const pauses = (lines: string[]) => lines.map(line => Number(/restarting it in (\d+) s$/.exec(line)?.[1]))

describe('a supervised server', () => {
  it('restarts when it exits, and logs the last line of its log', async () => {
    const { fake, server, lines } = await supervise()
    fake.die('first line\nout of memory')
    await seconds(1)
    expect(fake.starts).toBe(2)
    expect(server.state).toBe('running')
    expect(lines).toEqual([
      expect.stringMatching(/^Kafka exited\. Its log \(.*kafka\.log\) ends with: out of memory; restarting it in 1 s$/),
    ])
    await server.stop()
    expect(server.state).toBe('stopped')
    expect(fake.starts).toBe(2)
  })

  it('restarts again, after a longer pause, when it is killed while it is starting again', async () => {
    const { fake, server, lines, lost } = await supervise(start => start === 2 || start === 3)
    fake.die('killed')
    await seconds(1)
    expect(server.state).toBe('restarting')
    await seconds(2 + 4)
    expect(server.state).toBe('running')
    expect(fake.starts).toBe(4)
    expect(pauses(lines)).toEqual([1, 2, 4])
    expect(lines[1]).toBe('Kafka exited while starting. Its log ends with: killed; restarting it in 2 s')
    expect(lost).toEqual([])
  })

  it('starts with the shortest pause again after it has run for more than a minute', async () => {
    const { fake, lines } = await supervise()
    for (const ranFor of [0, 40, 61]) {
      await seconds(ranFor)
      fake.die('killed')
      await seconds(10)
    }
    expect(pauses(lines)).toEqual([1, 2, 1])
  })

  it.each([
    ['exits', () => false],
    ['fails to start', (start: number) => start > 1],
  ])('gives up a server, with its last log lines, when it %s ten times in a row', async (_, fails) => {
    const { fake, server, lines, lost } = await supervise(fails)
    for (let round = 0; round <= 10; round++) {
      fake.die('first line\nkilled')
      await seconds(30)
    }
    expect(pauses(lines)).toEqual([1, 2, 4, 8, 16, 30, 30, 30, 30, 30])
    expect(lost).toHaveLength(1)
    expect(lost[0]!.message).toMatch(/^gave up on Kafka after 10 restarts in a row: Kafka exited.*first line\nkilled$/s)
    expect(server.state).toBe('failed')
  })

  it('does not start a server again after it was stopped during a pause', async () => {
    const { fake, server, lost } = await supervise(start => start === 2)
    fake.die('killed')
    await seconds(1)
    await server.stop()
    await seconds(60)
    expect(fake.starts).toBe(2)
    expect(server.state).toBe('stopped')
    expect(lost).toEqual([])
  })
})
