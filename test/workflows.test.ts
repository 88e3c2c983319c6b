/** Tests that the workflows name existing scripts and files, and mark the jobs that do not run on any machine. */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ROOT, runSteps, workflowFiles } from './support/workflows.ts'

const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
const all = workflowFiles().flatMap(file => runSteps(file))
/** Commands that need more than Node, Java and Maven: docker, a cluster, or a remote registry. */
const NEEDS_MORE = /\b(docker|kind|helm|kubectl|gh|sudo|go)\b|\.github\/(crds|kind-)/

describe('the steps of the workflows', () => {
  it('are found', () => expect(all.length).toBeGreaterThan(10))

  it.each(all.map(({ run }) => run))('name npm scripts that exist: %s', run => {
    const named = [...run.matchAll(/npm (?:run )?(?:--silent )?([\w:]+)/g)].map(([, name]) => name!)
    for (const name of named.filter(name => name !== 'install')) expect(scripts).toHaveProperty([name])
  })

  it.each(all.map(({ run }) => run))('name files of ours that exist: %s', run => {
    for (const [path] of run.matchAll(/(?<![\w/])(test|charts|\.github)\/[\w/.-]+/g))
      expect({ path, exists: existsSync(join(ROOT, path)) }).toEqual({ path, exists: true })
  })

  it('have NEEDS exactly where they need more than Node, Java and Maven', () => {
    const wrong = runSteps('.github/workflows/ci.yml').filter(
      // The setup is the same in every job.
      ({ run, needs }) => !run.startsWith('npm install') && needs.length > 0 !== NEEDS_MORE.test(run),
    )
    expect(wrong).toEqual([])
  })

  it('contain no expression of the runner if they run on any machine', () => {
    const runnable = runSteps('.github/workflows/ci.yml').filter(({ needs }) => needs.length === 0)
    expect(new Set(runnable.map(({ job }) => job))).toEqual(new Set(['static', 'unit', 'integration']))
    expect(runnable.filter(({ run }) => run.includes('${{'))).toEqual([])
  })
})

it.each(['crds', 'kind-cluster', 'kind-node'])('marks .github/%s as executable', name => {
  expect(statSync(join(ROOT, '.github', name)).mode & 0o111).toBe(0o111)
})

it.each(workflowFiles())('grants only read access by default in %s', file => {
  expect(readFileSync(join(ROOT, file), 'utf8')).toMatch(/^permissions: \{ contents: read \}$/m)
})
