import { describe, expect, it } from 'vitest'
import { drain, type Remaining, remaining } from '#local/start/drain.ts'

describe('what remains', () => {
  it('is every record up to the ends, also of partitions that were never claimed, and the outbox', () => {
    const ends = new Map([
      [0, 10],
      [1, 5],
      [2, 3],
    ])
    const next = new Map([
      [0, 8],
      [1, null],
    ])
    expect(remaining(ends, { next, toProject: 4 })).toEqual({ records: 2 + 5 + 3, toProject: 4 })
  })

  it('is not negative where a commit is newer than the look at the log', () => {
    expect(remaining(new Map([[0, 8]]), { next: new Map([[0, 9]]), toProject: 0 })).toEqual({
      records: 0,
      toProject: 0,
    })
  })
})

/** Drains on a clock of its own; after the script its last look is repeated. */
async function play(script: (Remaining | null)[]): Promise<{ drained: boolean; seconds: number; told: string[] }> {
  let now = 0
  const told: string[] = []
  const drained = await drain({
    look: async () => (script.length > 1 ? script.shift()! : script[0]!),
    sleep: async ms => void (now += ms),
    now: () => now,
    tell: line => told.push(line),
  })
  return { drained, seconds: now / 1000, told }
}

const left = (records: number, toProject = 0): Remaining => ({ records, toProject })

describe('draining', () => {
  it('ends when nothing remains', async () => {
    expect(await play([left(9), left(3), null, left(0, 2), left(0)])).toMatchObject({ drained: true, told: [] })
  })

  it('waits however long it takes while something moves', async () => {
    const slow = Array.from({ length: 20 }, (_, i) => Array.from({ length: 250 }, () => left(20 - i))).flat()
    const { drained, seconds } = await play([...slow, left(0)])
    expect(drained).toBe(true)
    expect(seconds).toBeGreaterThan(900)
  })

  it('gives up when nothing moves for a minute, and says what is left', async () => {
    const { drained, told } = await play([left(9), left(7, 2)])
    expect(drained).toBe(false)
    expect(told).toEqual(['not drained: 7 records and 2 rows to project do not move'])
    expect((await play([null])).told).toEqual(['not drained: Kafka or PostgreSQL does not answer'])
  })
})
