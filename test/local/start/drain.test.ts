import { describe, expect, it } from 'vitest'
import { drain, type Remaining, remaining } from '#local/start/drain.ts'

describe('remaining', () => {
  it('counts all uncommitted records, also of partitions that were never claimed, and the outbox', () => {
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

  it('counts no negative number when a commit is newer than the end offsets', () => {
    expect(remaining(new Map([[0, 8]]), { next: new Map([[0, 9]]), toProject: 0 })).toEqual({
      records: 0,
      toProject: 0,
    })
  })
})

/** Drains on a fake clock. Each poll takes the next value of the script; the last one is repeated. */
async function play(script: (Remaining | null)[]): Promise<{ drained: boolean; seconds: number; lines: string[] }> {
  let now = 0
  const lines: string[] = []
  const drained = await drain({
    poll: async () => (script.length > 1 ? script.shift()! : script[0]!),
    sleep: async ms => void (now += ms),
    now: () => now,
    log: line => lines.push(line),
    folder: '.local/shop',
  })
  return { drained, seconds: now / 1000, lines }
}

const left = (records: number, toProject = 0): Remaining => ({ records, toProject })

describe('drain', () => {
  it('finishes when nothing remains', async () => {
    expect(await play([left(9), left(3), null, left(0, 2), left(0)])).toMatchObject({ drained: true, lines: [] })
  })

  it('waits as long as there is progress', async () => {
    const slow = Array.from({ length: 20 }, (_, i) => Array.from({ length: 250 }, () => left(20 - i))).flat()
    const { drained, seconds } = await play([...slow, left(0)])
    expect(drained).toBe(true)
    expect(seconds).toBeGreaterThan(900)
  })

  it('gives up after a minute without progress, and logs what is left', async () => {
    const { drained, lines } = await play([left(9), left(7, 2)])
    expect(drained).toBe(false)
    expect(lines).toEqual([
      'the pipeline did not finish: no progress for 60 s, 7 records not committed, 2 rows not written to Elasticsearch. See the logs of the workers in .local/shop/logs',
    ])
    expect((await play([null])).lines).toEqual([
      'the pipeline did not finish: Kafka or PostgreSQL does not respond. See their logs; those of local servers are below .local/shop',
    ])
  })
})
