import { expect, it } from 'vitest'
import { parsePipeline, SpecError } from '#pipeline/parse.ts'
import { readDocument } from '#verify/spec.ts'
import { MINIMAL } from './documents.ts'

const SECONDS = 1000

function faultsOf(text: string): string[] {
  try {
    parsePipeline(text)
    return []
  } catch (error) {
    expect(error).toBeInstanceOf(SpecError)
    return (error as SpecError).faults
  }
}

const manyKeys = (end: string) => Array.from({ length: 100_000 }, (_, i) => `k${i}: 1${end}`).join('')

it.each<[string, string, RegExp]>([
  ['100,000 unknown keys', MINIMAL + manyKeys('\n'), /^k99: unknown field.*\nand 99900 more; correct these first$/m],
  [
    'a document of more than 1 MiB',
    `${MINIMAL}# ${'x'.repeat(1024 ** 2)}`,
    /^the document has \d+ bytes, more than 1048576;/,
  ],
  ['100,000 duplicate keys', 'a: 1\n'.repeat(100_000), /^key "a" occurs twice \(line 2\)\n/],
  ['200,000 levels', '['.repeat(200_000), /^(the document has too many levels|Flow sequence in block collection must)/],
  ['100 levels', `${'['.repeat(101)}${']'.repeat(101)}`, /^the document has too many levels/],
  ['5,000 levels', `${'['.repeat(5000)}${']'.repeat(5000)}`, /^the document has too many levels/],
  ['100,000 aliases', `a: &a [1]\nb: [${'*a,'.repeat(100_000)}]`, /alias/i],
  ['100,000 faults of syntax', 'a: "\\q"\n'.repeat(100_000), /Invalid escape/],
])(
  'refuses %s within seconds',
  (_name, text, message) => {
    const faults = faultsOf(text)
    expect(faults.join('\n').replaceAll(/ \(line \d+\)(?=: unknown)/g, '')).toMatch(message)
    expect(faults.length).toBeLessThanOrEqual(101)
  },
  30 * SECONDS,
)

it(
  'accepts 100,000 labels, and so does the verifier',
  () => {
    const text = MINIMAL.replace('{ name: sales }', `{ name: sales, labels: {${manyKeys(',')}} }`)
    expect(faultsOf(text)).toEqual([])
    expect(readDocument(text).metadata.name).toBe('sales')
    expect(() => readDocument(text + ' '.repeat(1024 ** 2))).toThrow('more than 1048576')
  },
  60 * SECONDS,
)

it('names the line of a key that occurs twice', () => {
  expect(faultsOf('spec:\n  source: { topic: a }\n  source: { topic: b }\n')).toEqual([
    'key "source" occurs twice (line 3)',
  ])
})

it.each(['constructor', '__proto__', 'toString'])('refuses the unknown key %s', key => {
  expect(faultsOf(`${MINIMAL}${key}: { a: 1 }\n`).join()).toMatch(new RegExp(`${key} .*unknown field`))
  expect(Object.hasOwn(Object.prototype, 'a')).toBe(false)
})
