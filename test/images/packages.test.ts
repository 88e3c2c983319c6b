/** What images say about their packages, where that can be tested without an image. test/root looks into real ones. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { hasDpkg, writeDebianPackages } from '../../images/packages/debian.ts'
import { licenceTexts, npmPackages, packageFolderOf } from '../../images/packages/npm.ts'
import { sbomOf } from '../../images/packages/sbom.ts'
import { purlOf, type Shipped } from '../../images/packages/shipped.ts'
import { ownFolder } from '../support/folder.ts'

const SHA = { integrity: `sha512-${Buffer.from('a hash').toString('base64')}` }

/** Returns the root of a project with these locked packages and these files in their folders. */
function project(packages: Record<string, object>, files: Record<string, string> = {}): string {
  const root = ownFolder('project')
  writeFileSync(join(root, 'package-lock.json'), JSON.stringify({ packages }))
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(root, dirname(path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  return root
}

describe('npm packages', () => {
  it.each([
    ['node_modules/pg/lib/index.js', 'node_modules/pg'],
    ['node_modules/@elastic/transport/lib/x.js', 'node_modules/@elastic/transport'],
    ['node_modules/a/node_modules/@b/c/d.js', 'node_modules/a/node_modules/@b/c'],
    ['processor/main.ts', undefined],
  ])('finds the package of %s', (path, folder) => expect(packageFolderOf(path)).toBe(folder))

  it('lists a package once that is installed in several folders, and two versions as two', () => {
    const [one, two] = [
      { version: '1.0.0', license: 'MIT', ...SHA },
      { version: '2.0.0', license: 'MIT', ...SHA },
    ]
    const folders = {
      'node_modules/a': two,
      'node_modules/b/node_modules/a': one,
      'node_modules/c/node_modules/a': one,
    }
    const found = npmPackages(project(folders), Object.keys(folders))
    expect(found.map(({ purl }) => purl)).toEqual(['pkg:npm/a@1.0.0', 'pkg:npm/a@2.0.0'])
    expect(found[0]!.sha512).toBe(Buffer.from('a hash').toString('hex'))
  })

  it('refuses a package that the lock does not have, or has without a licence', () => {
    const root = project({ 'node_modules/a': { version: '1.0.0' } })
    for (const folder of ['node_modules/a', 'node_modules/b'])
      expect(() => npmPackages(root, [folder])).toThrow(`no package with a licence at ${folder}; run npm install`)
  })

  it('ships each text of a licence once, from files and from the end of a README', () => {
    const packages = Object.fromEntries(
      ['a', 'b', 'c'].map(name => [`node_modules/${name}`, { version: '1.0.0', license: 'MIT' }]),
    )
    const root = project(packages, {
      'node_modules/a/LICENSE': 'the text\n',
      'node_modules/b/license.md': 'the text',
      'node_modules/b/licenses.json': '{}',
      'node_modules/c/README.md': '# c\n\nusage\n\n## License\n\nanother text',
    })
    const text = licenceTexts(root, npmPackages(root, Object.keys(packages)))
    expect(text.split('the text')).toHaveLength(2)
    expect(text).toContain('a 1.0.0 (MIT)\nb 1.0.0 (MIT)\n')
    expect(text).toContain('another text')
    expect(text).not.toContain('usage')
  })

  it('refuses a package without a text of its licence', () => {
    const root = project({ 'node_modules/a': { version: '1.0.0', license: 'MIT' } }, { 'node_modules/a/index.js': '' })
    expect(() => licenceTexts(root, npmPackages(root, ['node_modules/a']))).toThrow(
      'package a has no text of its licence MIT, which must be shipped with it',
    )
  })
})

it.runIf(hasDpkg())('refuses a library that no Debian package owns', () => {
  const library = join(project({}, { 'libown.so': '' }), 'libown.so')
  expect(() => writeDebianPackages(ownFolder('image'), [library])).toThrow(`no Debian package owns ${library}`)
})

describe('the list of packages', () => {
  const about = { version: '1.2.3', description: '', license: 'Apache-2.0', revision: 'unknown' }
  const shipped: Shipped = { name: 'a', version: '1', purl: purlOf('npm', 'a', '1'), licence: 'MIT', files: [] }
  const sbom = (...packages: Shipped[]) => JSON.parse(sbomOf('salespipeline/x', about, packages))

  it('writes no time and no random number into the list of packages, unless SOURCE_DATE_EPOCH gives a time', () => {
    expect(sbom(shipped)).toEqual(sbom(shipped))
    expect(sbom(shipped)).not.toHaveProperty('metadata.timestamp')
    vi.stubEnv('SOURCE_DATE_EPOCH', '86400')
    expect(sbom(shipped).metadata.timestamp).toBe('1970-01-02T00:00:00.000Z')
    vi.unstubAllEnvs()
  })

  it.each([
    ['MIT', { license: { id: 'MIT' } }],
    ['MIT OR Apache-2.0', { expression: 'MIT OR Apache-2.0' }],
    ['see /usr/share/doc/a/copyright', { license: { name: 'see /usr/share/doc/a/copyright' } }],
  ])('writes the licence %s as its kind', (licence, written) =>
    expect(sbom({ ...shipped, licence }).components[0].licenses).toEqual([written]),
  )

  it('says that the image depends on each package', () =>
    expect(sbom(shipped).dependencies).toContainEqual({ ref: 'salespipeline/x', dependsOn: ['pkg:npm/a@1'] }))

  it('escapes package URLs', () => {
    expect(purlOf('deb', 'debian/libstdc++6', '1:2+3', { arch: 'amd64' })).toBe(
      'pkg:deb/debian/libstdc%2B%2B6@1%3A2%2B3?arch=amd64',
    )
    expect(purlOf('npm', '@elastic/transport', '1.0.0')).toBe('pkg:npm/%40elastic/transport@1.0.0')
  })
})
