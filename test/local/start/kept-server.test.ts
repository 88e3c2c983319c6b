import { describe, expect, it } from 'vitest'
import type { ServerProcess } from '#local/services/process.ts'
import { KeptServer } from '#local/start/kept-server.ts'

/** Stands for a server process: dies when told to, starts again as often as it is allowed. */
class Frail {
  name = 'Kafka'
  logFile = '/logs/kafka.log'
  pid = 0
  starts = 0
  exited: Promise<string> = Promise.resolve('')
  die = (_lastLines: string): void => {}
  readonly #lives: number

  constructor(lives: number) {
    this.#lives = lives
  }

  async start(): Promise<void> {
    if (this.starts === this.#lives) throw new Error('Kafka ended while starting')
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

async function keep(lives: number) {
  const frail = new Frail(lives)
  const told: string[] = []
  const lost = Promise.withResolvers<Error>()
  const server = new KeptServer({ tell: line => told.push(line), onLost: lost.resolve })
  await server.start(async onStarting => {
    onStarting(frail as never as ServerProcess)
    await frail.start()
    return frail as never as ServerProcess
  })
  return { frail, server, told, lost: lost.promise }
}

const until = async (condition: () => boolean) => {
  while (!condition()) await new Promise(resolve => setTimeout(resolve, 2))
}

describe('a kept server', () => {
  it('is started again when it dies, and what its log said last is told', async () => {
    const { frail, server, told } = await keep(5)
    frail.die('first line\nout of memory')
    await until(() => frail.starts === 2 && server.state === 'running')
    expect(told).toHaveLength(1)
    expect(told[0]).toMatch(/^Kafka died and is started again; its log \(.*kafka\.log\) says last: out of memory$/)
    await server.stop()
    expect(server.state).toBe('stopped')
    expect(frail.starts).toBe(2)
  })

  it('is given up when it cannot start', async () => {
    const { frail, server, lost } = await keep(1)
    frail.die('disk full')
    expect((await lost).message).toBe('Kafka ended while starting')
    expect(server.state).toBe('failed')
  })

  it('is given up when it dies again and again', async () => {
    const { frail, lost } = await keep(100)
    for (let life = 1; life <= 4; life++) {
      await until(() => frail.starts === life)
      frail.die('corrupt log')
    }
    expect((await lost).message).toBe('Kafka dies again and again. Its log says:\ncorrupt log')
    expect(frail.starts).toBe(4)
  })
})
