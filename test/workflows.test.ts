/** Tests that the workflows name existing scripts and files, and mark the jobs that do not run on any machine. */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { SBOM } from '../images/packages/shipped.ts'
import { PROGRAMS } from '../images/programs.ts'
import { ROOT, runSteps, workflowFiles } from './support/workflows.ts'

const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
const all = workflowFiles().flatMap(file => runSteps(file))
/** Commands of npm itself. */
const NPM = ['install', 'audit']
/** Commands that need more than Node, Java and Maven: docker, a cluster, a remote registry or advisories. */
const NEEDS_MORE = /\b(docker|kind|helm|kubectl|gh|sudo|go)\b|npm audit|\.github\/(crds|kind-|scan-)/

describe('the steps of the workflows', () => {
  it('finds the steps of the workflows', () => expect(all.length).toBeGreaterThan(10))

  it.each(all.map(({ run }) => run))('name npm scripts that exist: %s', run => {
    const named = [...run.matchAll(/npm (?:run )?(?:--silent )?([\w:]+)/g)].map(([, name]) => name!)
    for (const name of named.filter(name => !NPM.includes(name))) expect(scripts).toHaveProperty([name])
  })

  it.each(all.map(({ run }) => run))('name files of ours that exist: %s', run => {
    for (const [path] of run.matchAll(/(?<![\w/])(test|charts|\.github)\/[\w/.-]+/g))
      expect({ path, exists: existsSync(join(ROOT, path)) }).toEqual({ path, exists: true })
  })

  it('finds NEEDS exactly on steps that need more than Node, Java and Maven', () => {
    const wrong = ['ci', 'audit']
      .flatMap(name => runSteps(`.github/workflows/${name}.yml`))
      .filter(
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

it.each(['crds', 'kind-cluster', 'kind-node', 'scan-images'])('marks .github/%s as executable', name => {
  expect(statSync(join(ROOT, '.github', name)).mode & 0o111).toBe(0o111)
})

it.each(workflowFiles())('grants only read access by default in %s', file => {
  expect(readFileSync(join(ROOT, file), 'utf8')).toMatch(/^permissions: \{ contents: read \}$/m)
})

describe('a release', () => {
  const text = readFileSync(join(ROOT, '.github/workflows/release.yml'), 'utf8')
  const steps = runSteps('.github/workflows/release.yml').map(({ run }) => run)
  const stepWith = (words: string) => steps.findIndex(run => run.includes(words))

  it('resolves the digest of the base image, builds, scans and only then pushes', () => {
    const order = ['NODE_IMAGE=$base@$digest', 'bake --load', '.github/scan-images', 'bake --push'].map(stepWith)
    expect(order.every(index => index >= 0)).toBe(true)
    expect(order).toEqual(order.toSorted((a, b) => a - b))
  })

  it('scans every image, and attaches its list of packages', () => {
    const [, scanned] = /^for program in (.*); do$/m.exec(readFileSync(join(ROOT, '.github/scan-images'), 'utf8'))!
    expect(scanned!.split(' ').sort()).toEqual(PROGRAMS.map(({ name }) => name).sort())
    expect(readFileSync(join(ROOT, '.github/scan-images'), 'utf8')).toContain(`/${SBOM}"`)
    expect(steps[stepWith('gh release create')]).toContain('./*.cdx.json')
  })

  it('pins actions of others than GitHub, Docker and Azure by commit, with the version as a comment', () => {
    const others = [...text.matchAll(/uses: (?!actions\/|docker\/|azure\/|\.\/)(.*)$/gm)].map(([, action]) => action!)
    expect(others.length).toBeGreaterThan(0)
    expect(others.filter(action => !/^[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/.test(action))).toEqual([])
  })
})

it('looks for known vulnerabilities in each CI run and every week', () => {
  expect(readFileSync(join(ROOT, '.github/workflows/ci.yml'), 'utf8')).toContain('uses: ./.github/workflows/audit.yml')
  const { on } = parse(readFileSync(join(ROOT, '.github/workflows/audit.yml'), 'utf8'))
  expect(on.schedule[0].cron).toMatch(/^\d+ \d+ \* \* [0-6]$/)
})
