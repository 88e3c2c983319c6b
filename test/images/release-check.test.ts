/** The release check names each place that disagrees with package.json, and passes when all agree. */
import { expect, it } from 'vitest'
import { readSources, releaseFaults, releaseNotes, type Sources } from '../../images/release-check.ts'

const real = readSources()
const { version } = JSON.parse(real['package.json'])
const ready: Sources = { ...real, 'package.json': real['package.json'].replaceAll('/OWNER/', '/shop/') }

it('accepts a project with one version everywhere, with and without a tag', () => {
  expect(releaseFaults(ready, `v${version}`)).toEqual([])
  expect(releaseFaults(ready)).toEqual([])
})

it.each<[string, keyof Sources, string | RegExp, string, string]>([
  [
    'package-lock.json',
    'package-lock.json',
    `"version": "${version}"`,
    '"version": "9.9.9"',
    'package-lock.json: 9.9.9',
  ],
  [
    'the chart’s version',
    'charts/sales-pipeline/Chart.yaml',
    `version: ${version}`,
    'version: 9.9.9',
    'version: 9.9.9',
  ],
  ['the chart’s appVersion', 'charts/sales-pipeline/Chart.yaml', `"${version}"`, '"9.9.9"', 'appVersion: 9.9.9'],
  ['the image label', 'Dockerfile', `version="${version}"`, 'version="9.9.9"', 'Dockerfile, image.version: 9.9.9'],
  ['a missing image label', 'Dockerfile', `version="${version}"`, '', 'Dockerfile, image.version: no version'],
  ['the bake file', 'docker-bake.json', `"${version}"`, '"9.9.9"', 'docker-bake.json, TAG: 9.9.9'],
  ['the changelog', 'CHANGELOG.md', `## [${version}]`, '## [9.9.9]', 'CHANGELOG.md, newest heading: 9.9.9'],
  ['a heading without a date', 'CHANGELOG.md', /^(## \[\d.*\]) - .*$/gm, '$1', 'newest heading: no version'],
  ['the placeholder', 'package.json', '/shop/', '/OWNER/', 'package.json, repository.url: https://github.com/OWNER/'],
])('reports a fault of %s', (_, file, right, wrong, fault) => {
  const text = ready[file].replace(right, wrong)
  expect(text).not.toBe(ready[file])
  expect(releaseFaults({ ...ready, [file]: text }, `v${version}`)).toEqual([expect.stringContaining(fault)])
})

it('reports a tag with another version or without v', () => {
  expect(releaseFaults(ready, 'v9.9.9')).toEqual([`git tag: 9.9.9, but package.json has ${version}`])
  expect(releaseFaults(ready, version)).toEqual([`git tag: ${version} must begin with v`])
})

it('reports every place when only package.json was changed', () => {
  const bumped = ready['package.json'].replace(`"version": "${version}"`, '"version": "9.9.9"')
  expect(releaseFaults({ ...ready, 'package.json': bumped }, `v${version}`)).toHaveLength(7)
})

it('returns the newest section of the changelog without its heading', () => {
  const changelog =
    '# Changelog\n\n## [Unreleased]\n- later\n\n## [1.1.0] - 2026-01-02\n### Fixed\n- x\n\n## [1.0.0] - 2026-01-01\n- y\n'
  expect(releaseNotes(changelog)).toBe('### Fixed\n- x')
})
