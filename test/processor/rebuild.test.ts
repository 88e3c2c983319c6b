import { expect, it } from 'vitest'
import type { RebuildProgress } from '#processor/ports.ts'
import { rebuildProjections } from '#processor/rebuild.ts'

/** Runs the rebuild against a list of answers, one per second; the last one is repeated. */
async function run(...answers: RebuildProgress[]) {
  const printed: string[] = []
  let now = 0
  let begun = 0
  const result = await rebuildProjections({
    rebuild: {
      begin: async () => void begun++,
      progress: async () => answers[Math.min(now / 1000, answers.length - 1)]!,
    },
    indices: ['by-store', 'totals'],
    clock: { now: () => now, sleep: async ms => void (now += ms) },
    print: line => printed.push(line),
  })
  return { result, printed, seconds: now / 1000, begun }
}

const at = (written: number, workers = 1): RebuildProgress => ({
  rebuilds: [{ index: 'by-store', rows: 8, written }],
  workers,
})
const DONE: RebuildProgress = { rebuilds: [], workers: 1 }
const MARKING = 'marking all rows of by-store, totals …'

it('begins once, prints each change of the progress, and ends when every row is written', async () => {
  expect(await run(at(0), at(5), at(5), DONE)).toEqual({
    result: true,
    begun: 1,
    seconds: 3,
    printed: [
      MARKING,
      'by-store: 0 of 8 rows written',
      'by-store: 5 of 8 rows written',
      'the workers have written every row',
    ],
  })
})

it('says what to do and fails when no worker is connected for ten seconds', async () => {
  const { result, printed, seconds } = await run(at(0, 0))
  expect([result, seconds]).toEqual([false, 10])
  expect(printed.at(-1)).toMatch(/^No worker of this pipeline is connected .* They stay marked.* Start a worker/)
})

it('waits for workers that restart', async () => {
  const restarting = Array.from({ length: 9 }, () => at(5, 0))
  expect(await run(at(5), ...restarting, at(5), ...restarting, DONE)).toMatchObject({ result: true })
})

it('names the conditions to look for when no row is written for 30 s, and continues to wait', async () => {
  const { result, printed } = await run(...Array.from({ length: 40 }, () => at(5)), DONE)
  expect(result).toBe(true)
  expect(printed.filter(line => /^No row was written for 30 s\. Look for .*ProjectionBehind/.test(line))).toHaveLength(
    1,
  )
})
