/** docker-bake.json builds the images that `npm run images` builds, under the same names. */
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, it } from 'vitest'
import { readProject } from '../../images/config.ts'
import { PROGRAMS } from '../../images/programs.ts'

const root = resolve(import.meta.dirname, '../..')
const { variable, group, target } = JSON.parse(readFileSync(join(root, 'docker-bake.json'), 'utf8'))
const { image, ...targets } = target
const names = PROGRAMS.map(({ name }) => name).sort()

it('defines one target for each program and builds all of them by default', () => {
  expect(Object.keys(targets).sort()).toEqual(names)
  expect(group.default.targets.toSorted()).toEqual(names)
})

it.each(names)('builds the stage %s of the Dockerfile under the name that the chart uses', name => {
  expect(readFileSync(join(root, 'Dockerfile'), 'utf8')).toMatch(new RegExp(`^FROM \\w+ AS ${name}$`, 'm'))
  expect(targets[name]).toEqual({
    inherits: ['image'],
    target: name,
    tags: [`\${REGISTRY}salespipeline/${name}:\${TAG}`],
  })
})

it('tags images with the version of the project and has the commit as a build argument', () => {
  expect(variable.TAG.default).toBe(readProject().version)
  expect(variable.REGISTRY.default).toBe('')
  expect(image.args).toEqual({ REVISION: `\${REVISION}`, NODE_IMAGE: `\${NODE_IMAGE}` })
})

it('builds on the base image of the Dockerfile, unless a release passes its digest', () => {
  const [, base] = /^ARG NODE_IMAGE=(\S+)$/m.exec(readFileSync(join(root, 'Dockerfile'), 'utf8'))!
  expect(variable.NODE_IMAGE.default).toBe(base)
})
