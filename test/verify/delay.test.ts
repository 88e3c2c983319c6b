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
  it('measures the delay up to the commit that contains the record, whichever worker made it', async () => {
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

  it('uses the next commit of the partition when the commit of a record was not logged', async () => {
    const log = await commits([
      { at: 1100, partitions: [[0, 0, 5]] },
      '{"at":1200,"part',
      { at: 1700, partitions: [[0, 8, 9]] },
    ])
    const delays = new Delays(log, new Map([[0, 9]]), {})
    delays.add(0, 6, 1000)
    expect(delays.report().max).toBe(700)
  })

  it('uses the current time when a record was committed and no log says when', async () => {
    const delays = new Delays(await commits(), new Map([[0, 5]]), { now: 4000 })
    delays.add(0, 4, 1000)
    expect(delays.report()).toMatchObject({ max: 3000, neverCommitted: 0 })
  })

  it('reports an infinite delay for a record that was not committed', async () => {
    const delays = new Delays(await commits([{ at: 1100, partitions: [[0, 0, 5]] }]), new Map([[0, 5]]), {})
    delays.add(0, 4, 1000)
    delays.add(0, 5, 1000)
    expect(delays.report()).toEqual({ p50: 100, p90: null, p99: null, max: null, samples: 2, neverCommitted: 1 })
  })

  it('uses the later commit when a failover rolled back the first', async () => {
    const log = await commits([
      { at: 1100, partitions: [[0, 0, 5]] },
      { at: 1900, partitions: [[0, 0, 7]] },
    ])
    const delays = new Delays(log, new Map([[0, 7]]), {})
    delays.add(0, 3, 1000)
    expect(delays.report().max).toBe(900)
  })

  it('counts only records made in the given time range', async () => {
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
  ])('computes percentile %d of 1 to 100 as %i', (share, expected) => {
    expect(percentile(hundred, share)).toBe(expected)
  })

  it('returns null as the percentile of no samples', () => {
    expect(percentile(new Float64Array(), 0.5)).toBeNull()
  })
})
