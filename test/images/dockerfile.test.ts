/** The Dockerfile must give the images the same configuration as `npm run images`. test/root builds it. */
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { configOf, readProject } from '../../images/config.ts'
import { PROGRAMS } from '../../images/programs.ts'
import { configFromDockerfile } from './dockerfile.ts'

const root = resolve(import.meta.dirname, '../..')
const text = readFileSync(join(root, 'Dockerfile'), 'utf8')
const sorted = ({ Env, ...config }: { Env: string[] }) => ({ ...config, Env: [...Env].sort() })

describe('the Dockerfile', () => {
  it('defines a target for each program, and no other than their common base', () => {
    const onScratch = [...text.matchAll(/^FROM (?:scratch|runtime) AS (\w+)$/gm)].map(([, name]) => name)
    expect(onScratch.sort()).toEqual(['runtime', ...PROGRAMS.map(({ name }) => name)].sort())
  })

  it.each(PROGRAMS)('gives $name the same configuration as its archive', program => {
    const project = readProject()
    const config = configFromDockerfile(text, program.name, { REVISION: project.revision })
    expect(sorted(config)).toEqual(sorted(configOf(program, project)))
    expect(configFromDockerfile(text, program.name).Labels['org.opencontainers.image.revision']).toBe('unknown')
  })

  it.each([
    ['a missing flag', '"--max-semi-space-size=4", ', ''],
    ['another version', `version="${readProject().version}"`, 'version="0.0.9"'],
    ['an extra variable', 'ENV MALLOC_ARENA_MAX=1', 'ENV MALLOC_ARENA_MAX=1 DEBUG=1'],
    ['the user root', 'USER 10001:10001', 'USER root'],
  ])('fails the comparison with %s', (_, right, wrong) => {
    expect(text).toContain(right)
    const processor = PROGRAMS.find(({ name }) => name === 'processor')!
    const project = { ...readProject(), revision: 'unknown' }
    expect(sorted(configFromDockerfile(text, 'processor'))).toEqual(sorted(configOf(processor, project)))
    const config = configFromDockerfile(text.replace(right, wrong), 'processor')
    expect(sorted(config)).not.toEqual(sorted(configOf(processor, project)))
  })
})
