import { appendFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Delays, percentile, readCommitLogs } from '#verify/delay.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'commits-'))
})
afterEach(() => rm(folder, { recursive: true }))

type Line = { at: number; partitions: [number, number, number][] } | string

async function commits(...files: Line[][]) {
  const paths: string[] = []
  for (const [index, lines] of files.entries()) {
    const path = join(folder, `${index}.jsonl`)
    for (const line of lines) await appendFile(path, `${typeof line === 'string' ? line : JSON.stringify(line)}\n`)
    paths.push(path)
  }
  return readCommitLogs(paths)
}

describe('delay of a record made at 1000', () => {
  it('ends with the commit that holds it, whichever worker made it', async () => {
    const log = await commits(
      [
        {
          at: 1100,
          partitions: [
            [0, 0, 5],
            [1, 0, 9],
          ],
        },
      ],
      [{ at: 1300, partitions: [[0, 5, 10]] }],
    )
    const delays = new Delays(log, new Map([[0, 10]]), {})
    delays.add(0, 4, 1000)
    delays.add(0, 5, 1000)
    delays.add(1, 8, 1000)
    expect(delays.report()).toEqual({ p50: 100, p90: 300, p99: 300, max: 300, samples: 3, neverCommitted: 0 })
  })

  it('ends with the next commit of its partition when its own was never written down', async () => {
    const log = await commits([
      { at: 1100, partitions: [[0, 0, 5]] },
      '{"at":1200,"part',
      { at: 1700, partitions: [[0, 8, 9]] },
    ])
    const delays = new Delays(log, new Map([[0, 9]]), {})
    delays.add(0, 6, 1000)
    expect(delays.report().max).toBe(700)
  })

  it('ends now when progress says that it was committed and no log says when', async () => {
    const delays = new Delays(await commits(), new Map([[0, 5]]), { now: 4000 })
    delays.add(0, 4, 1000)
    expect(delays.report()).toMatchObject({ max: 3000, neverCommitted: 0 })
  })

  it('never ends when it was not committed', async () => {
    const delays = new Delays(await commits([{ at: 1100, partitions: [[0, 0, 5]] }]), new Map([[0, 5]]), {})
    delays.add(0, 4, 1000)
    delays.add(0, 5, 1000)
    expect(delays.report()).toEqual({ p50: 100, p90: null, p99: null, max: null, samples: 2, neverCommitted: 1 })
  })

  it('ends with the commit made after a failover took one back', async () => {
    const log = await commits([
      { at: 1100, partitions: [[0, 0, 5]] },
      { at: 1900, partitions: [[0, 0, 7]] },
    ])
    const delays = new Delays(log, new Map([[0, 7]]), {})
    delays.add(0, 3, 1000)
    expect(delays.report().max).toBe(900)
  })

  it('counts only in the given time', async () => {
    const delays = new Delays(await commits([{ at: 9000, partitions: [[0, 0, 5]] }]), new Map(), {
      from: 1000,
      to: 2000,
    })
    for (const madeAt of [999, 1000, 1999, 2000]) delays.add(0, 0, madeAt)
    expect(delays.report()).toMatchObject({ samples: 2, p50: 7001, max: 8000 })
  })
})

describe('percentile', () => {
  const hundred = Float64Array.from({ length: 100 }, (_, index) => index + 1)
  it.each([
    [0.5, 50],
    [0.9, 90],
    [0.99, 99],
    [1, 100],
  ])('%d of 1 to 100 is %i', (share, expected) => {
    expect(percentile(hundred, share)).toBe(expected)
  })

  it('of nothing is null', () => {
    expect(percentile(new Float64Array(), 0.5)).toBeNull()
  })
})
