/** Tests that generated pages are up to date, and that everything exists that pages name or link to. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { type FieldRow, fieldSections } from '#docs/fields.ts'
import { examples, REFERENCE_FILE, referenceFile } from '#docs/generate.ts'
import { CROSS_FIELD_RULES, FIXED_FIELDS } from '#docs/spanning-rules.ts'
import { RULES } from '#operator/crd/rules.ts'
import { PLACE_OF_RESULTS, TRANSITIONS } from '#operator/crd/transitions.ts'
import { parsePipeline } from '#pipeline/parse.ts'
import { document } from '#pipeline/schema.ts'

const ROOT = join(import.meta.dirname, '..')
const read = (file: string) => readFileSync(join(ROOT, file), 'utf8')
const distinct = (names: Iterable<string>) => [...new Set(names)]
const matches = (text: string, pattern: RegExp) => distinct([...text.matchAll(pattern)].map(([, name]) => name!))

const DOCS = readdirSync(join(ROOT, 'docs')).filter(name => name.endsWith('.md') && !name.endsWith('.template.md'))
const PAGES = [
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  ...DOCS.map(name => `docs/${name}`),
  'charts/sales-pipeline/README.md',
  'k8s/platform/README.md',
]
const { version, scripts, dependencies, devDependencies } = JSON.parse(read('package.json'))

/** Returns the anchors of a page: those that GitHub generates from headings, and explicit ones. */
function anchorsOf(text: string): Set<string> {
  const prose = text.replaceAll(/^```[\s\S]*?^```/gm, '')
  const headings = [...prose.matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  )
  return new Set([...headings, ...matches(text, /<a id="([^"]+)">/g)])
}

describe.each(PAGES)('page %s', page => {
  const text = read(page)
  const links = matches(text, /\]\(([^)\s]+)\)/g).filter(link => !/^https?:/.test(link))

  it('links to files and anchors that exist', () => {
    const broken = links.filter(link => {
      const [path, anchor] = link.split('#') as [string, string | undefined]
      const target = path === '' ? join(ROOT, page) : resolve(ROOT, dirname(page), path)
      if (!existsSync(target)) return true
      return anchor !== undefined && !anchorsOf(readFileSync(target, 'utf8')).has(anchor)
    })
    expect(broken).toEqual([])
  })

  it('names existing scripts of package.json only', () => {
    const named = matches(text, /npm run (?:--silent )?([\w:]+)/g)
    expect(named.filter(name => !(name in scripts))).toEqual([])
  })

  it('names existing tests only', () => {
    const named = matches(text, /(?<![\w/.-])(test\/[\w/-]+(?:\.[\w-]+)*)/g)
    expect(named.filter(path => !existsSync(join(ROOT, path)))).toEqual([])
  })

  it('names no other version than the current one', () => expect(versionsIn(text)).toEqual([]))
})

/** Returns the versions of ours in image tags, labels and archive names that are not the current one. */
function versionsIn(text: string): string[] {
  const named = matches(text, /(?:salespipeline\/\w+:|sales-?pipeline-|image\.version=")(\d+\.\d+\.\d+)/gi)
  return named.filter(name => name !== version)
}

describe('the current version', () => {
  it.each(['Dockerfile', 'charts/sales-pipeline/Chart.yaml'])('finds only the current version in %s', file => {
    expect(read(file)).toContain(version)
    expect(versionsIn(read(file))).toEqual([])
  })

  it('finds versions in image tags, labels and archive names', () => {
    for (const tag of ['salespipeline/processor:0.0.9', 'sales-pipeline-0.0.9.tgz', 'image.version="0.0.9"'])
      expect(versionsIn(tag)).toEqual(['0.0.9'])
  })
})

describe('README.md', () => {
  const text = read('README.md')
  it('keeps README.md at 150 lines or less', () => expect(text.trimEnd().split('\n').length).toBeLessThanOrEqual(150))
  it.each(Object.keys({ ...dependencies, ...devDependencies }).filter(name => !name.startsWith('@types/')))(
    'explains why %s is a dependency',
    name => expect(text).toContain(`\`${name}\``),
  )
  it('shows a document that is valid', () => {
    const [, shown] = /```yaml\n([\s\S]*?)```/.exec(text)!
    expect(parsePipeline(shown!).metadata.name).toBe('ecommerce')
  })
  it('links to every page of docs/', () => {
    for (const name of DOCS) expect(text).toContain(`](docs/${name})`)
  })
})

describe('docs/capabilities.md', () => {
  it('names more than 15 tests', () =>
    expect(matches(read('docs/capabilities.md'), /`(test\/[\w/.-]+)`/g).length).toBeGreaterThan(15))
})

type SchemaNode = { properties?: Record<string, SchemaNode>; items?: SchemaNode; label?: string }

/** Returns the paths of all fields as the reference writes them. An object whose label occurred before is not repeated. */
function pathsOf({ properties = {} }: SchemaNode, prefix: string, described: Set<string>): string[] {
  return Object.entries(properties).flatMap(([name, child]) => {
    const node = child.items ?? child
    const path = `${prefix}${name}`
    if (node.label && described.has(node.label)) return [path]
    if (node.label && node.properties) described.add(node.label)
    return [path, ...pathsOf(node, child.items ? `${path}[].` : `${path}.`, described)]
  })
}

/** True for types whose fields are described elsewhere on the page. */
const linksElsewhere = (type: string) => /\[(field|window|TLS settings|Secret reference)\]/.test(type)

describe('docs/reference.md', () => {
  const rows = fieldSections(examples()).flatMap(section => section.rows)
  const paths = new Set(rows.map(({ path }) => path))

  it('equals what npm run docs writes', () => expect(readFileSync(REFERENCE_FILE, 'utf8')).toBe(referenceFile()))

  it('lists every field of the schema in docs/reference.md', () => {
    const json = z.toJSONSchema(document, { io: 'input', reused: 'inline' }) as SchemaNode
    const all = pathsOf(json, '', new Set()).map(path => path.replace(/^spec\./, ''))
    const groups = new Set(['spec', ...fieldSections(examples()).map(({ name }) => name)])
    expect(all.filter(path => !paths.has(path) && !groups.has(path))).toEqual([])
    expect(all.length).toBeGreaterThan(130)
  })

  it('describes every field: type and meaning, and an example of each that has no others below it', () => {
    expect(rows.filter(({ meaning }) => meaning === '').map(({ path }) => path)).toEqual([])
    expect(rows.filter(({ type }) => type === '').map(({ path }) => path)).toEqual([])
    const isLeaf = ({ path, type }: FieldRow) =>
      !linksElsewhere(type) && !rows.some(row => row.path.startsWith(`${path}.`) || row.path.startsWith(`${path}[].`))
    expect(rows.filter(row => isLeaf(row) && row.example === '').map(({ path }) => path)).toEqual([])
  })

  it('gives the meaning of every section of docs/reference.md', () => {
    expect(fieldSections(examples()).filter(({ meaning }) => meaning === '')).toEqual([])
  })

  it.each([
    ['that spans fields', RULES, CROSS_FIELD_RULES],
    ['on changes', { ...TRANSITIONS, '': PLACE_OF_RESULTS }, FIXED_FIELDS],
  ])('documents each rule of the CRD %s', (_, rules, documented) => {
    const targets = Object.entries(rules).flatMap(([path, list]) =>
      list.map(({ fieldPath = '' }) => `${path}${fieldPath}`),
    )
    const named = new Set(documented.flatMap(({ fields }) => fields))
    const missing = distinct(targets.map(path => path.replace(/^\.?spec\./, ''))).filter(path => !named.has(path))
    expect(missing).toEqual([])
  })

  it('documents rules only for fields that exist', () => {
    const named = [...CROSS_FIELD_RULES, ...FIXED_FIELDS].flatMap(({ fields }) => fields)
    const linking = rows.filter(({ type }) => linksElsewhere(type))
    const isField = (path: string) =>
      paths.has(path.replace(/\[\]$/, '')) || linking.some(row => path.startsWith(row.path))
    expect(named.filter(path => !isField(path))).toEqual([])
  })
})

describe('CONTRIBUTING.md and SECURITY.md', () => {
  const text = read('CONTRIBUTING.md') + read('SECURITY.md')
  const { scripts } = JSON.parse(read('package.json'))
  const own =
    /[`(]((?:\.github|charts|docs|grafana|images|local|operator|pipeline|processor|producer|test|verify)\/[\w/.-]+)/g
  const named = distinct([...text.matchAll(own)].map(([, path]) => path!))
  it('name more than 50 files', () => expect(named.length).toBeGreaterThan(50))
  it.each(named)('name the existing file %s', path => expect(existsSync(join(ROOT, path))).toBe(true))
  const run = distinct([...text.matchAll(/npm run (?:--silent )?([\w:]+)/g)].map(([, name]) => name!))
  it.each(run)('name the existing script npm run %s', name => expect(scripts).toHaveProperty([name]))
})

describe('docs/decisions', () => {
  const index = read('docs/decisions/README.md')
  const pages = readdirSync(join(ROOT, 'docs/decisions')).filter(name => name !== 'README.md')
  it('numbers the pages of docs/decisions without gaps', () =>
    expect(pages.map(name => Number(name.slice(0, 4)))).toEqual(pages.map((_, index) => index + 1)))
  it.each(pages)('lists %s in the index under its title, and the page has all parts', page => {
    const text = read(`docs/decisions/${page}`)
    const [, number, title] = /^# (\d{4}) (.+)$/m.exec(text)!
    expect(index).toContain(`| [${number}](${page}) | ${title} |`)
    expect([...text.matchAll(/^## (.+)$/gm)].map(([, heading]) => heading)).toEqual([
      'Context',
      'Decision',
      'Consequences',
      'What would make us revisit it',
    ])
  })
})
