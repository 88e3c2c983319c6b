import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

/** The rooms of the house and which others each may import (docs/architecture.md). */
const MAY_IMPORT: Record<string, string[]> = {
  pipeline: [],
  common: ['pipeline'],
  processor: ['pipeline', 'common'],
  producer: ['pipeline', 'common'],
  operator: ['pipeline', 'common'],
  images: ['pipeline', 'common', 'processor'],
  kibana: [],
  grafana: [],
  charts: ['pipeline', 'operator'],
  verify: [],
  chaos: ['pipeline', 'common'],
  local: ['pipeline', 'common', 'verify', 'processor', 'producer'],
}

const root = resolve(import.meta.dirname, '..')
const files = Object.keys(MAY_IMPORT).flatMap(room => sourcesBelow(room))
const imports = files.flatMap(file => importsOf(file).map(target => ({ file, target })))

function sourcesBelow(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.ts'))
    .map(name => join(folder, name))
}

/** Our own modules as paths from the root, packages and node: modules as they are written. */
function importsOf(file: string): string[] {
  const text = readFileSync(join(root, file), 'utf8')
  const statements = /^(?:import|export|\}) ?[^'\n]*from '([^']+)'|^import '([^']+)'|\bimport\('([^']+)'\)/gm
  const names = [...text.matchAll(statements)].map(match => (match[1] ?? match[2] ?? match[3])!)
  return names.map(name => {
    if (name.startsWith('#')) return name.slice(1)
    return name.startsWith('.') ? relative(root, resolve(root, dirname(file), name)) : name
  })
}

const roomOf = (path: string) => path.split('/')[0]!
const isOurs = (target: string) => roomOf(target) in MAY_IMPORT || roomOf(target) === 'test'

describe('the house', () => {
  it('has files and imports to check', () => {
    expect(files.length).toBeGreaterThan(50)
    expect(imports.filter(({ target }) => isOurs(target)).length).toBeGreaterThan(100)
  })

  it('keeps its rooms apart', () => {
    const crossing = imports.filter(({ file, target }) => {
      const [from, to] = [roomOf(file), roomOf(target)]
      return isOurs(target) && from !== to && !MAY_IMPORT[from]!.includes(to)
    })
    expect(crossing).toEqual([])
  })

  it('keeps the processor’s core pure: no node modules, no clients, no clock, no chance, nothing asynchronous', () => {
    const core = files.filter(file => file.startsWith('processor/core/'))
    expect(core.length).toBeGreaterThan(8)
    for (const file of core) {
      const outside = importsOf(file).filter(t => !t.startsWith('processor/') && !t.startsWith('pipeline/'))
      expect({ file, outside }).toEqual({ file, outside: [] })
      const text = readFileSync(join(root, file), 'utf8')
      expect({
        file,
        impure: text.match(/\b(async|await|Promise|Date\.now|new Date\(\)|Math\.random|setTimeout|process\.)\b/g),
      }).toEqual({ file, impure: null })
    }
  })

  it('lets only the adapters and main reach the outside world; flow and core see ports', () => {
    const inner = files.filter(
      file => /^processor\/[^/]+\.ts$/.test(file) && !['processor/main.ts', 'processor/settings.ts'].includes(file),
    )
    expect(inner.length).toBeGreaterThan(5)
    for (const file of inner) {
      const outside = importsOf(file).filter(
        t => t.includes('/adapters/') || t.startsWith('node:') || !/^(processor|pipeline)\//.test(t),
      )
      expect({ file, outside }).toEqual({ file, outside: [] })
    }
  })

  it('has a verifier that shares no code with what it verifies', () => {
    const verifier = files.filter(file => file.startsWith('verify/'))
    expect(verifier.length).toBeGreaterThan(5)
    const shared = imports.filter(
      ({ file, target }) => verifier.includes(file) && isOurs(target) && roomOf(target) !== 'verify',
    )
    expect(shared).toEqual([])
    // It reads the log with another client than the engine, too.
    expect(imports.some(({ file, target }) => verifier.includes(file) && target === 'kafkajs')).toBe(true)
    expect(imports.some(({ file, target }) => verifier.includes(file) && target.startsWith('@platformatic/'))).toBe(
      false,
    )
  })

  it('keeps tests that need Go or root out of `npm test`', () => {
    const tests = sourcesBelow('test').flatMap(file => importsOf(file).map(target => ({ file, target })))
    const needGo = tests.filter(({ target }) => target.startsWith('test/support/otelcol'))
    expect(needGo.length).toBeGreaterThan(0)
    expect(needGo.filter(({ file }) => !/^test\/(root|cluster)\//.test(file))).toEqual([])
  })
})
