/** Each rule of the architecture finds a violation that is planted in a few sources. */
import { describe, expect, it } from 'vitest'
import { importsOf } from './imports.ts'
import {
  documentedImports,
  forbiddenImports,
  importCircles,
  importsOutOfCore,
  importsOutOfFlow,
  impureCode,
  unlistedPackages,
} from './rules.ts'

const importsIn = (files: Record<string, string>) => importsOf(new Map(Object.entries(files)))
const WINDOW = 'processor/core/window.ts'

describe('importsOf', () => {
  it.each([
    ['a default import', "import x from './x.ts'"],
    ['a named import', "import { a, type B as C } from './x.ts'"],
    ['a default and a named import', "import x, { a } from './x.ts'"],
    ['a namespace import', "import * as x from './x.ts'"],
    ['an import over several lines', "import {\n  a,\n  // It's a comment.\n  type B,\n} from './x.ts'"],
    ['a type import', "import type { A } from './x.ts'"],
    ['a type import over several lines', "import type {\n  A,\n  B,\n} from './x.ts'"],
    ['an import for its side effects', "import './x.ts'"],
    ['double quotes', 'import { a } from "./x.ts"'],
    ['a named re-export', "export { a } from './x.ts'"],
    ['a re-export over several lines', "export {\n  a,\n  b,\n} from './x.ts'"],
    ['a type re-export', "export type { A } from './x.ts'"],
    ['a re-export of everything', "export * from './x.ts'"],
    ['a namespace re-export', "export * as x from './x.ts'"],
    ['a dynamic import', "const x = await import('./x.ts')"],
    ['a dynamic import over several lines', "const x = await import(\n  './x.ts'\n)"],
    ['the type of a module', "type X = typeof import('./x.ts')"],
    ['an import after others', "import y from 'y'\nimport x from './x.ts'"],
  ])('reads %s', (_, text) => {
    expect(importsIn({ 'a/b.ts': text })).toContainEqual({ file: 'a/b.ts', target: 'a/x.ts', isOurs: true })
  })

  it('reads each import once', () => {
    const text = "import a from 'a'\nimport { b } from './b.ts'\n\nexport const c = 1\nexport { d } from '#d/d.ts'\n"
    expect(importsIn({ 'a/b.ts': text }).map(({ target }) => target)).toEqual(['a', 'a/b.ts', 'd/d.ts'])
  })

  it('resolves relative paths and subpath imports from the root', () => {
    const text = "import '../../c/d.ts'\nimport '#e/f.ts'\nimport '#e/g/../h.ts'\nimport 'node:fs'\n"
    expect(importsIn({ 'a/b/x.ts': text })).toEqual([
      { file: 'a/b/x.ts', target: 'c/d.ts', isOurs: true },
      { file: 'a/b/x.ts', target: 'e/f.ts', isOurs: true },
      { file: 'a/b/x.ts', target: 'e/h.ts', isOurs: true },
      { file: 'a/b/x.ts', target: 'node:fs', isOurs: false },
    ])
  })

  it('takes no text that only speaks of an import for one', () => {
    const text = "// import x from 'x'\nexport const note = `read from 'y'`\nexport function of(a = 'b') {}\n"
    expect(importsIn({ 'a/b.ts': text })).toEqual([])
  })
})

describe('importsOutOfCore', () => {
  it.each([
    ["import { startHttp } from '#processor/adapters/http.ts'", 'processor/adapters/http.ts'],
    ["import type { Store } from '#processor/ports.ts'", 'processor/ports.ts'],
    ["import type {\n  Store,\n  Source,\n} from '../ports.ts'", 'processor/ports.ts'],
    ["export type { Store } from '../ports.ts'", 'processor/ports.ts'],
    ["const errors = await import('../errors.ts')", 'processor/errors.ts'],
    ["import { x } from '#processor/core/../flow.ts'", 'processor/flow.ts'],
    ["import { readFileSync } from 'node:fs'", 'node:fs'],
    ["import pg from 'pg'", 'pg'],
    ["import { x } from '#producer/x.ts'", 'producer/x.ts'],
  ])('finds %j', (text, target) => {
    expect(importsOutOfCore(importsIn({ [WINDOW]: text }))).toEqual([`${WINDOW} → ${target}`])
  })

  it('allows the core and the pipeline, and leaves other files alone', () => {
    const core = "import { add } from './exact.ts'\nimport type { CompiledWindow } from '#pipeline/compiled-spec.ts'\n"
    expect(importsOutOfCore(importsIn({ [WINDOW]: core, 'processor/main.ts': "import pg from 'pg'" }))).toEqual([])
  })
})

describe('impureCode', () => {
  it.each([
    ['Date.now()', 'Date.now'],
    ['new Date().getTime()', 'new Date()'],
    ['performance.now()', 'performance.'],
    ['Math.random()', 'Math.random'],
    ['process.env.HOME', 'process.'],
    ['crypto.randomUUID()', 'crypto.'],
    ["import('./exact.ts')", 'import('],
    ['setTimeout(f, 1)', 'setTimeout'],
    ['async () => {}', 'async'],
  ])('finds %s', (text, found) => {
    expect(impureCode(new Map([[WINDOW, `const x = ${text}\n`]]))).toEqual([`${WINDOW}: ${found}`])
  })

  it('allows dates of a given time', () => {
    expect(impureCode(new Map([[WINDOW, 'const x = new Date(0)\n']]))).toEqual([])
  })
})

describe('importsOutOfFlow', () => {
  it.each([
    ["import { startHttp } from './adapters/http.ts'", 'processor/adapters/http.ts'],
    ["import { createHash } from 'node:crypto'", 'node:crypto'],
    ["import pg from 'pg'", 'pg'],
  ])('finds %j', (text, target) => {
    const imports = importsIn({ 'processor/flow.ts': text, 'processor/main.ts': text })
    expect(importsOutOfFlow(imports)).toEqual([`processor/flow.ts → ${target}`])
  })
})

describe('importCircles', () => {
  it('finds two files that import each other', () => {
    const files = { 'a/x.ts': "import { y } from './y.ts'", 'a/y.ts': "export { x } from './x.ts'" }
    expect(importCircles(importsIn(files))).toEqual(['a/x.ts → a/y.ts → a/x.ts'])
  })

  it('finds a circle of types only', () => {
    const files = { 'a/x.ts': "import type { Y } from './y.ts'", 'a/y.ts': "import type { X } from '#a/x.ts'" }
    expect(importCircles(importsIn(files))).toEqual(['a/x.ts → a/y.ts → a/x.ts'])
  })

  it('finds a circle through other packages, behind files that are not part of it', () => {
    const files = {
      'a/main.ts': "import '#b/x.ts'",
      'b/x.ts': "import '#c/y.ts'",
      'c/y.ts': "const z = await import('#d/z.ts')",
      'd/z.ts': "import '#b/x.ts'",
    }
    expect(importCircles(importsIn(files))).toEqual(['b/x.ts → c/y.ts → d/z.ts → b/x.ts'])
  })

  it('finds a file that imports itself', () => {
    expect(importCircles(importsIn({ 'a/x.ts': "import './x.ts'" }))).toEqual(['a/x.ts → a/x.ts'])
  })

  it('allows a file that is imported on two ways', () => {
    const files = { 'a/x.ts': "import './y.ts'\nimport './z.ts'\n", 'a/y.ts': "import './z.ts'", 'a/z.ts': '' }
    expect(importCircles(importsIn(files))).toEqual([])
  })
})

describe('packages', () => {
  const mayImport = { a: ['b'], b: [], test: 'everything' as const }

  it('unlistedPackages names a directory that is not listed', () => {
    const sources = new Map(['a/x.ts', 'b/x.ts', 'c/x.ts', 'c/y/z.ts', 'vitest.config.ts'].map(file => [file, '']))
    expect(unlistedPackages(sources, mayImport)).toEqual(['c'])
  })

  it('forbiddenImports finds what the table does not allow', () => {
    const files = {
      'a/x.ts': "import '#b/x.ts'\nimport './y.ts'\nimport 'pg'\n",
      'b/x.ts': "import type { X } from '../a/x.ts'",
      'test/x.ts': "import '#a/x.ts'",
      'a/y.ts': "import '#test/x.ts'",
    }
    expect(forbiddenImports(importsIn(files), mayImport)).toEqual(['b/x.ts → a/x.ts', 'a/y.ts → test/x.ts'])
  })

  it('documentedImports reads the table', () => {
    const page =
      '| package | content | may import |\n|---|---|---|\n| `a/` | first | `b`, `c` |\n| `b/` | second | nothing of ours |\n' +
      '| `test/` | tests, `x/` among them | everything |\n\n| `a/inner/` | a layer | `d` |\n'
    expect(documentedImports(page)).toEqual({ a: ['b', 'c'], b: [], test: 'everything' })
  })
})
