/**
 * Checks properties on random values: half of the runs begin with the same seed every time, so that a fault planted in the
 * code is found every time; the other half with a fresh one, so that new values are tried. A seed that failed is printed
 * and kept in .local, and the next runs begin with it. PROPERTY_SEED=… sets the fresh seed.
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import fc from 'fast-check'
import { expect } from 'vitest'
import { ROOT } from '../suites.ts'

const FIXED_SEED = 1
const fresh = Number(process.env.PROPERTY_SEED ?? Math.floor(Math.random() * 2 ** 31))
const KEPT_FILE = join(ROOT, '.local/failed-seeds.jsonl')
const DEFAULT_RUNS = 100

type Kept = { test: string; seed: number; path: string }
type Part = { seed: number; numRuns: number } | Kept

type Options = { numRuns?: number /** For the test of this file. */; keptIn?: string }

/** Throws, or rejects for an asynchronous property, with the seed and the smallest values that were found to fail. */
export function check<Values>(property: fc.IProperty<Values>, options?: Options): void
export function check<Values>(property: fc.IAsyncProperty<Values>, options?: Options): Promise<void>
export function check<Values>(property: fc.IRawProperty<Values>, options: Options = {}) {
  const { numRuns = DEFAULT_RUNS, keptIn = KEPT_FILE } = options
  const test = expect.getState().currentTestName!
  const half = Math.ceil(numRuns / 2)
  const parts: Part[] = [
    ...keptSeeds(keptIn).filter(kept => kept.test === test),
    { seed: FIXED_SEED, numRuns: half },
    { seed: fresh, numRuns: half },
  ]
  const judge = (details: fc.RunDetails<Values>) => {
    if (!details.failed) return
    const { seed, counterexamplePath: path } = details
    if (path !== null) keep(keptIn, { test, seed, path })
    throw new Error(fc.defaultReportMessage(details), { cause: details.errorInstance })
  }
  if (property.isAsync()) return inTurn(parts, async part => judge(await fc.check(property, part)))
  for (const part of parts) judge(fc.check(property, part) as fc.RunDetails<Values>)
}

async function inTurn<T>(parts: T[], work: (part: T) => Promise<void>): Promise<void> {
  for (const part of parts) await work(part)
}

function keep(file: string, kept: Kept): void {
  mkdirSync(dirname(file), { recursive: true })
  appendFileSync(file, `${JSON.stringify(kept)}\n`)
}

function keptSeeds(file: string): Kept[] {
  if (!existsSync(file)) return []
  const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean)
  return lines.map(line => JSON.parse(line) as Kept)
}
