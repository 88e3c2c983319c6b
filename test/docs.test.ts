/** What the pages name is there. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
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

describe('CONTRIBUTING.md and SECURITY.md', () => {
  const text = read('CONTRIBUTING.md') + read('SECURITY.md')
  const { scripts } = JSON.parse(read('package.json'))
  const own =
    /[`(]((?:\.github|charts|docs|grafana|images|local|operator|pipeline|processor|producer|test|verify)\/[\w/.-]+)/g
  const named = distinct([...text.matchAll(own)].map(([, path]) => path!))
  it('names files', () => expect(named.length).toBeGreaterThan(50))
  it.each(named)('%s is there', path => expect(existsSync(join(ROOT, path))).toBe(true))
  const run = distinct([...text.matchAll(/npm run (?:--silent )?([\w:]+)/g)].map(([, name]) => name!))
  it.each(run)('npm run %s is there', name => expect(scripts).toHaveProperty([name]))
})

describe('docs/decisions', () => {
  const index = read('docs/decisions/README.md')
  const pages = readdirSync(join(ROOT, 'docs/decisions')).filter(name => name !== 'README.md')
  it('is numbered without gaps', () =>
    expect(pages.map(name => Number(name.slice(0, 4)))).toEqual(pages.map((_, index) => index + 1)))
  it.each(pages)('%s is in the index under its title, and has all parts', page => {
    const text = read(`docs/decisions/${page}`)
    const [, number, title] = /^# (\d{4}) (.+)$/m.exec(text)!
    expect(index).toContain(`| [${number}](${page}) | ${title} |`)
    expect([...text.matchAll(/^## (.+)$/gm)].map(([, heading]) => heading)).toEqual([
      ...['Context', 'Decision', 'Consequences', 'What would make us revisit it'],
    ])
  })
})
