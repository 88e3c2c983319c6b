import { expect, it } from 'vitest'
import { parsePipeline, SpecError } from '#pipeline/parse.ts'
import { readDocument } from '#verify/spec.ts'
import { MINIMAL } from './documents.ts'

function faultsOf(text: string): string[] {
  try {
    parsePipeline(text)
    return []
  } catch (error) {
    expect(error).toBeInstanceOf(SpecError)
    return (error as SpecError).faults
  }
}

const manyKeys = (count: number, end: string) => Array.from({ length: count }, (_, i) => `k${i}: 1${end}`).join('')
const labelled = (count: number) =>
  MINIMAL.replace('{ name: sales }', `{ name: sales, labels: {${manyKeys(count, ',')}} }`)

const MANY = 100_000

function cpuOf(work: () => void): number {
  const before = process.cpuUsage()
  work()
  const { user, system } = process.cpuUsage(before)
  return user + system
}

/** CPU times have no fixed limit, because machines differ: a tenth of the text must take much more than a hundredth of the time. */
function expectNearLinear(work: (count: number) => void): void {
  work(MANY / 100)
  const tenth = cpuOf(() => work(MANY / 10))
  expect(cpuOf(() => work(MANY)) / tenth).toBeLessThan(40)
}

it.each<[string, (count: number) => string, RegExp]>([
  [
    'unknown keys',
    count => MINIMAL + manyKeys(count, '\n'),
    /^k99: unknown field.*\nand \d+00 more; correct these first$/m,
  ],
  ['duplicate keys', count => 'a: 1\n'.repeat(count), /^key "a" occurs twice \(line 2\)\n/],
  [
    'levels',
    count => '['.repeat(2 * count),
    /^(the document has too many levels|Flow sequence in block collection must)/,
  ],
  ['aliases', count => `a: &a [1]\nb: [${'*a,'.repeat(count)}]`, /alias/i],
  ['faults of syntax', count => 'a: "\\q"\n'.repeat(count), /Invalid escape/],
])('refuses documents with many %s in time that grows with their length', (_name, textOf, message) => {
  expectNearLinear(count => {
    const faults = faultsOf(textOf(count))
    expect(faults.join('\n').replaceAll(/ \(line \d+\)(?=: unknown)/g, '')).toMatch(message)
    expect(faults.length).toBeLessThanOrEqual(101)
  })
})

it.each<[string, string, RegExp]>([
  ['more than 1 MiB', `${MINIMAL}# ${'x'.repeat(1024 ** 2)}`, /^the document has \d+ bytes, more than 1048576;/],
  ['100 levels', `${'['.repeat(101)}${']'.repeat(101)}`, /^the document has too many levels/],
  ['5,000 levels', `${'['.repeat(5000)}${']'.repeat(5000)}`, /^the document has too many levels/],
])('refuses a document of %s', (_name, text, message) => {
  expect(faultsOf(text).join('\n')).toMatch(message)
})

it('accepts 100,000 labels, and so does the verifier', () => {
  expectNearLinear(count => expect(faultsOf(labelled(count))).toEqual([]))
  const text = labelled(MANY)
  expect(readDocument(text).metadata.name).toBe('sales')
  expect(() => readDocument(text + ' '.repeat(1024 ** 2))).toThrow('more than 1048576')
})

it('names the line of a key that occurs twice', () => {
  expect(faultsOf('spec:\n  source: { topic: a }\n  source: { topic: b }\n')).toEqual([
    'key "source" occurs twice (line 3)',
  ])
})

it.each(['constructor', '__proto__', 'toString'])('refuses the unknown key %s', key => {
  expect(faultsOf(`${MINIMAL}${key}: { a: 1 }\n`).join()).toMatch(new RegExp(`${key} .*unknown field`))
  expect(Object.hasOwn(Object.prototype, 'a')).toBe(false)
})
