import { existsSync, globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ROOT, SUITES, suiteNames, suiteOf } from './suites.ts'

const files = globSync('test/**/*.test.ts', { cwd: ROOT })
const read = (file: string) => readFileSync(join(ROOT, file), 'utf8')
/** Ways to leave tests out on machines that lack something. */
const SKIPS = /\b(?:describe|it|test)\.(?:skip|skipIf|runIf)\b|\bdescribeWith[A-Z]/

describe('the suites', () => {
  it('have files that exist', () => {
    const paths = suiteNames.flatMap(name => SUITES[name].paths)
    expect(paths.filter(path => !existsSync(join(ROOT, path)))).toEqual([])
    for (const name of suiteNames) expect(files.filter(file => suiteOf(file) === name).length, name).toBeGreaterThan(0)
  })

  it('have no test in npm test that is skipped where a tool is missing', () => {
    const defaults = files.filter(file => SUITES[suiteOf(file)].isDefault)
    const skipping = defaults.filter(file => file !== 'test/suites.test.ts' && SKIPS.test(read(file)))
    // It reads /proc, which macOS lacks.
    expect(skipping).toEqual(['test/local/start/usage.test.ts'])
  })

  it.each([
    ['test/pipeline/units.test.ts', 'unit'],
    ['test/processor/kafka/source.test.ts', 'services'],
    ['test/processor/store/postgres.test.ts', 'services'],
    ['test/integrity/faults.test.ts', 'system'],
    ['test/api-server/crd.test.ts', 'api-server'],
  ])('counts %s among %s', (file, suite) => {
    expect(suiteOf(file)).toBe(suite)
  })
})
