/** What the pages name is there. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

const ROOT = join(import.meta.dirname, '..')
const read = (file: string) => readFileSync(join(ROOT, file), 'utf8')
const distinct = (names: Iterable<string>) => [...new Set(names)]

describe('docs/capabilities.md', () => {
  const named = distinct([...read('docs/capabilities.md').matchAll(/`(test\/[\w/.-]+)`/g)].map(([, path]) => path!))
  it('names tests', () => expect(named.length).toBeGreaterThan(15))
  it.each(named)('%s is there', path => expect(existsSync(join(ROOT, path))).toBe(true))
})

describe('README.md', () => {
  const text = read('README.md')
  const linked = distinct([...text.matchAll(/\]\(([\w/.-]+)\)/g)].map(([, path]) => path!))
  it.each(linked)('links to %s, which is there', path => expect(existsSync(join(ROOT, path))).toBe(true))
  const { scripts, dependencies, devDependencies } = JSON.parse(read('package.json'))
  const run = distinct([...text.matchAll(/npm run (?:--silent )?([\w:]+)/g)].map(([, name]) => name!))
  it.each(run)('npm run %s is there', name => expect(scripts).toHaveProperty([name]))
  it.each(Object.keys({ ...dependencies, ...devDependencies }).filter(name => !name.startsWith('@types/')))(
    'says why %s is a dependency',
    name => expect(text).toContain(`\`${name}\``),
  )
})
