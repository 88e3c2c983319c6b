/** Tests that each planted fault still applies, without the minutes that `npm run test:mutants` takes. */
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { importsOf } from '../architecture/imports.ts'
import { MUTANTS } from './all.ts'
import type { Mutant } from './engine.ts'
import { mayName } from './titles.ts'

const root = resolve(import.meta.dirname, '../..')
const read = (file: string) => readFileSync(join(root, file), 'utf8')
const byName = MUTANTS.map(mutant => [mutant.name, mutant] as [string, Mutant])

/** The test file and the test modules that it imports, which may hold its titles: suites and tables. */
function textsOf(file: string, seen = new Set<string>()): string[] {
  if (seen.has(file) || !/^test\/.*\.ts$/.test(file)) return []
  seen.add(file)
  const text = read(file)
  return [text, ...importsOf(new Map([[file, text]])).flatMap(({ target }) => textsOf(target, seen))]
}

describe('the mutants', () => {
  it('gives each mutant a unique name', () => {
    expect(MUTANTS.length).toBeGreaterThan(30)
    expect(new Set(MUTANTS.map(({ name }) => name)).size).toBe(MUTANTS.length)
  })

  it.each(byName)('finds the text of a mutant once in its file: %s', (_, { file, find }) => {
    expect(read(file).split(find).length - 1).toBe(1)
  })

  it.each(byName)('finds an existing test with a title that turnsRed may match: %s', (_, { test, turnsRed }) => {
    expect(existsSync(join(root, test))).toBe(true)
    expect(mayName(turnsRed, textsOf(test))).toBe(true)
  })
})

describe('mayName', () => {
  it.each([
    ['a literal title', 'adds (two|three)', "it('adds two numbers', () => {})"],
    ['the title of a suite', 'numbers', "describe('numbers', () => {})"],
    ['a title with a modifier', 'adds', "it.concurrent('adds', () => {})"],
    ['a title in double quotes', "doesn't", 'it("doesn\'t add", () => {})'],
    ['a title made from a table', 'refuses a float', "it.each([\n  ['a float', 0.5],\n])('refuses %s', x => {})"],
    ['a title that a table holds whole', 'refuses floats', "it.each([['refuses floats', 0.5]])('%s', x => {})"],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a template in the source text of a test.
    ['a template string', 'memory adds', 'suite()\nfunction suite(of) { it(`${of} adds`, () => {}) }'],
  ])('finds %s', (_, turnsRed, text) => {
    expect(mayName(turnsRed, [text])).toBe(true)
  })

  it.each([
    ['a title that was changed', 'adds numbers', "it('sums numbers', () => {})"],
    ['a text that is not a title', 'adds numbers', "it('sums', () => expect(x).toBe('adds numbers'))"],
    ['a title whose fixed part was changed', 'refuses a float', "it.each([['a float', 0.5]])('rejects %s', x => {})"],
  ])('does not find %s', (_, turnsRed, text) => {
    expect(mayName(turnsRed, [text])).toBe(false)
  })
})
