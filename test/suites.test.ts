import { existsSync, globSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { titlesIn } from './mutants/titles.ts'
import { ROOT, SUITES, suiteNames, suiteOf } from './suites.ts'

const files = globSync('test/**/*.test.ts', { cwd: ROOT })
const read = (file: string) => readFileSync(join(ROOT, file), 'utf8')
/** Ways to leave tests out on machines that lack something. */
const SKIPS = /\b(?:describe|it|test)\.(?:skip|skipIf|runIf)\b|\bdescribeWith[A-Z]/
/** Without its `describe`, a title that begins with one of these does not say what the test is about. */
const BARE_VERB = /^(?:is|are|has|have|had|can|may|was|were)\b/i

describe('the suites', () => {
  it('finds the files of every suite', () => {
    const paths = suiteNames.flatMap(name => SUITES[name].paths)
    expect(paths.filter(path => !existsSync(join(ROOT, path)))).toEqual([])
    for (const name of suiteNames) expect(files.filter(file => suiteOf(file) === name).length, name).toBeGreaterThan(0)
  })

  it('skips no test of npm test where a tool is missing', () => {
    const defaults = files.filter(file => SUITES[suiteOf(file)].isDefault)
    const skipping = defaults.filter(file => file !== 'test/suites.test.ts' && SKIPS.test(read(file)))
    // It reads /proc, which macOS lacks.
    expect(skipping).toEqual(['test/local/start/usage.test.ts'])
  })

  it('runs every scenario on the cluster in one of the parts of CI', () => {
    const [, parts] = /^parts=\((.*)\)$/m.exec(read('.ci/cluster'))!
    const inParts = parts!.split(/["\s]+/).filter(name => name !== '')
    const scenarios = globSync('test/cluster/*.test.ts', { cwd: ROOT }).map(file => basename(file, '.test.ts'))
    expect(['chart', ...inParts].sort()).toEqual(scenarios.sort())
  })

  it('waits for no child process synchronously where an operator runs in the process of the test', () => {
    // It could not renew its Lease meanwhile, and would end.
    const running = files.filter(file => /\bstartOperator\b/.test(read(file)) && file !== 'test/suites.test.ts')
    expect(running.length).toBeGreaterThan(3)
    expect(running.filter(file => /\b(?:exec|execFile|spawn)Sync\b/.test(read(file)))).toEqual([])
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

describe('titles of tests', () => {
  // Modules of the tests hold suites that several test files share.
  const titled = globSync('test/**/*.ts', { cwd: ROOT }).flatMap(file =>
    titlesIn(read(file)).map(title => ({ file, title })),
  )

  it('finds no title that needs its describe because it begins with a bare verb', () => {
    expect(titled.length).toBeGreaterThan(1500)
    const bare = titled.filter(({ title }) => BARE_VERB.test(title))
    expect(bare.map(({ file, title }) => `${file}: ${title}`)).toEqual([])
  })

  it.each(['is kept', 'Are refused', 'may hold comments'])('recognizes the bare verb of "%s"', title => {
    expect(title).toMatch(BARE_VERB)
  })

  it.each(['keeps a topic', 'isolates a fault', 'cannot be set', 'a topic is kept'])('accepts "%s"', title => {
    expect(title).not.toMatch(BARE_VERB)
  })
})
