/** Checks the source tree against docs/architecture.md. test/architecture/rules.test.ts tests that each rule finds violations. */
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { importsOf } from './architecture/imports.ts'
import {
  documentedImports,
  forbiddenImports,
  importCircles,
  importsOutOfCore,
  importsOutOfFlow,
  impureCode,
  isFlow,
  type MayImport,
  packageOf,
  unlistedPackages,
} from './architecture/rules.ts'

/** A new package is added here and to the table of docs/architecture.md. */
const MAY_IMPORT: MayImport = {
  pipeline: [],
  common: ['pipeline'],
  processor: ['pipeline', 'common'],
  producer: ['pipeline', 'common'],
  operator: ['pipeline', 'common'],
  verify: [],
  chaos: ['pipeline', 'common'],
  images: ['pipeline', 'common', 'processor'],
  charts: ['pipeline', 'common', 'grafana', 'operator'],
  docs: ['pipeline', 'common'],
  grafana: ['pipeline', 'common'],
  kibana: ['common'],
  local: ['pipeline', 'common', 'processor', 'producer', 'verify'],
  bench: ['processor', 'verify', 'local', 'images', 'test'],
  test: 'everything',
}

const root = resolve(import.meta.dirname, '..')
const read = (file: string) => readFileSync(join(root, file), 'utf8')
/** tsconfig.json excludes the directories without sources of ours. */
const { exclude } = JSON.parse(read('tsconfig.json')) as { exclude: string[] }
const sources = new Map(packagesOf(root).flatMap(sourcesBelow))
// Its source texts are deliberate violations.
sources.delete('test/architecture/rules.test.ts')
const imports = importsOf(sources)

function packagesOf(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter(entry => entry.isDirectory() && !entry.name.startsWith('.') && !exclude.includes(entry.name))
    .map(({ name }) => name)
}

function sourcesBelow(folder: string): [string, string][] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter(name => /\.(ts|mjs)$/.test(name))
    .map(name => join(folder, name))
    .map(file => [file, read(file)])
}

describe('the source tree', () => {
  it('finds source files and imports to check', () => {
    expect(sources.size).toBeGreaterThan(50)
    expect(imports.filter(({ isOurs }) => isOurs).length).toBeGreaterThan(100)
  })

  it('imports only modules that exist', () => {
    expect(imports.filter(({ target, isOurs }) => isOurs && !sources.has(target))).toEqual([])
  })

  it('lists every package of ours in MAY_IMPORT', () => {
    expect(unlistedPackages(sources, MAY_IMPORT)).toEqual([])
  })

  it('imports other packages only as MAY_IMPORT allows', () => {
    expect(forbiddenImports(imports, MAY_IMPORT)).toEqual([])
  })

  it('finds no import circles in the sources', () => {
    expect(importCircles(imports)).toEqual([])
  })

  it('documents MAY_IMPORT in the table of docs/architecture.md', () => {
    expect(documentedImports(read('docs/architecture.md'))).toEqual(MAY_IMPORT)
  })

  it('runs every command through runMain, directly or through runGenerator', () => {
    // bench/ and test/ hold tools of this project; the verifier shares no code.
    const commands = [...sources].filter(
      ([file, text]) =>
        !/^(bench|test|verify)\//.test(file) && (file.endsWith('/main.ts') || text.includes('if (import.meta.main)')),
    )
    expect(commands.length).toBeGreaterThan(8)
    expect(commands.filter(([, text]) => !/await run(Main|Generator)\(/.test(text)).map(([file]) => file)).toEqual([])
  })

  it('keeps the processor’s core pure: no ports, adapters, clients, clock, randomness or async code', () => {
    expect([...sources.keys()].filter(file => file.startsWith('processor/core/')).length).toBeGreaterThan(8)
    expect(importsOutOfCore(imports)).toEqual([])
    expect(impureCode(sources)).toEqual([])
  })

  it('lets only the processor’s adapters and main do I/O; flow and core use ports', () => {
    expect([...sources.keys()].filter(isFlow).length).toBeGreaterThan(5)
    expect(importsOutOfFlow(imports)).toEqual([])
  })

  it('shares no code between the verifier and the engine', () => {
    const verifier = imports.filter(({ file }) => packageOf(file) === 'verify')
    expect(new Set(verifier.map(({ file }) => file)).size).toBeGreaterThan(5)
    expect(verifier.filter(({ target, isOurs }) => isOurs && packageOf(target) !== 'verify')).toEqual([])
    // It also reads the log with another client than the engine.
    expect(verifier.some(({ target }) => target === 'kafkajs')).toBe(true)
    expect(verifier.some(({ target }) => target.startsWith('@platformatic/'))).toBe(false)
  })

  it('keeps tests that need Go or root out of `npm test`', () => {
    const needGo = imports.filter(({ target }) => target.startsWith('test/support/otelcol'))
    expect(needGo.length).toBeGreaterThan(0)
    expect(needGo.filter(({ file }) => !/^test\/(root|cluster)\//.test(file))).toEqual([])
  })
})
