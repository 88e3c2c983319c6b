import { describe, expect, it } from 'vitest'
import type { ServerProcess } from '#local/services/process.ts'
import { SupervisedServer } from '#local/start/supervised-server.ts'

/** Replaces a server process: exits on `die`, and can be started a limited number of times. */
class FakeServer {
  name = 'Kafka'
  logFile = '/logs/kafka.log'
  pid = 0
  starts = 0
  exited: Promise<string> = Promise.resolve('')
  die = (_lastLines: string): void => {}
  readonly #maxStarts: number

  constructor(maxStarts: number) {
    this.#maxStarts = maxStarts
  }

  async start(): Promise<void> {
    if (this.starts === this.#maxStarts) throw new Error('Kafka exited while starting')
    this.pid = 100 + ++this.starts
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

async function supervise(maxStarts: number) {
  const fake = new FakeServer(maxStarts)
  const lines: string[] = []
  const lost = Promise.withResolvers<Error>()
  const server = new SupervisedServer({ log: line => lines.push(line), onLost: lost.resolve })
  await server.start(async onStarting => {
    onStarting(fake as never as ServerProcess)
    await fake.start()
    return fake as never as ServerProcess
  })
  return { fake, server, lines, lost: lost.promise }
}

const until = async (condition: () => boolean) => {
  while (!condition()) await new Promise(resolve => setTimeout(resolve, 2))
}

describe('a supervised server', () => {
  it('restarts when it exits, and logs the last line of its log', async () => {
    const { fake, server, lines } = await supervise(5)
    fake.die('first line\nout of memory')
    await until(() => fake.starts === 2 && server.state === 'running')
    expect(lines).toHaveLength(1)
    expect(lines[0]).toMatch(/^Kafka exited; restarting it\. Last line of its log \(.*kafka\.log\): out of memory$/)
    await server.stop()
    expect(server.state).toBe('stopped')
    expect(fake.starts).toBe(2)
  })

  it('is given up when a restart fails', async () => {
    const { fake, server, lost } = await supervise(1)
    fake.die('disk full')
    expect((await lost).message).toBe('Kafka exited while starting')
    expect(server.state).toBe('failed')
  })

  it('is given up when it exits after three restarts in a row', async () => {
    const { fake, lost } = await supervise(100)
    for (let starts = 1; starts <= 4; starts++) {
      await until(() => fake.starts === starts)
      fake.die('corrupt log')
    }
    expect((await lost).message).toBe(
      'Kafka exited again after 3 restarts. Its log (/logs/kafka.log) ends with:\ncorrupt log',
    )
    expect(fake.starts).toBe(4)
  })
})
