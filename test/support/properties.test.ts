import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { ROOT } from '../suites.ts'
import { ownFolder } from './folder.ts'
import { check } from './properties.ts'

function valuesOf(limit = Infinity, keptIn = join(ownFolder('kept'), 'seeds.jsonl')) {
  const values: number[] = []
  const property = fc.property(fc.nat(), value => {
    values.push(value)
    return value < limit
  })
  try {
    check(property, { numRuns: 20, keptIn })
  } catch (error) {
    return { values, message: (error as Error).message }
  }
  return { values, message: null }
}

it('runs half of the times with the same values every time, and half with others', () => {
  const { values } = valuesOf()
  const again = valuesOf().values
  expect(values).toHaveLength(20)
  expect(values.slice(0, 10)).toEqual(again.slice(0, 10))
  expect(values.slice(10)).not.toEqual(values.slice(0, 10))
})

it('prints the seed of a failure, keeps it, and begins the next run with the smallest value that failed', () => {
  const kept = join(ownFolder('kept'), 'seeds.jsonl')
  const { message } = valuesOf(1000, kept)
  expect(message).toMatch(/seed: -?\d+/)
  const fails = valuesOf(1000, kept)
  expect(fails.values[0]).toBe(1000)
  expect(readFileSync(kept, 'utf8')).toContain('begins the next run with the smallest value')
  expect(valuesOf(Infinity, kept).message).toBeNull()
})

it('rejects for an asynchronous property', async () => {
  const property = fc.asyncProperty(fc.nat(), async value => value < 10)
  await expect(check(property, { keptIn: join(ownFolder('kept'), 'seeds.jsonl') })).rejects.toThrow(/seed: /)
})

it('finds no test of properties that calls fc.assert instead of check', () => {
  const tests = globSync('test/**/*.ts', { cwd: ROOT })
  const others = tests.filter(file => /\bfc\.assert\(/.test(readFileSync(join(ROOT, file), 'utf8')))
  expect(others).toEqual([])
})
