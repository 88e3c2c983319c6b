/** The workflows name scripts and files that exist, and say which of their steps run on any machine. */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ROOT, runSteps, workflowFiles } from './support/workflows.ts'

const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
const all = workflowFiles().flatMap(file => runSteps(file))
/** A command that needs more than Node, Java and Maven: docker, a cluster, or a remote registry. */
const DEMANDING = /\b(docker|kind|helm|kubectl|gh|sudo|go)\b|\.github\/(crds|kind-)/

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
      // Setting up is the same in every job.
      ({ run, needs }) => !run.startsWith('npm install') && needs.length > 0 !== DEMANDING.test(run),
    )
    expect(wrong).toEqual([])
  })

  it('hold no expression that only the runner could fill in, where they run anywhere', () => {
    const runnable = runSteps('.github/workflows/ci.yml').filter(({ needs }) => needs.length === 0)
    expect(new Set(runnable.map(({ job }) => job))).toEqual(new Set(['static', 'unit', 'integration']))
    expect(runnable.filter(({ run }) => run.includes('${{'))).toEqual([])
  })
})

it.each(['crds', 'kind-cluster', 'kind-node'])('.github/%s can be run', name => {
  expect(statSync(join(ROOT, '.github', name)).mode & 0o111).toBe(0o111)
})

it.each(workflowFiles())('%s begins with the right to read and no more', file => {
  expect(readFileSync(join(ROOT, file), 'utf8')).toMatch(/^permissions: \{ contents: read \}$/m)
})
