/** The images, unpacked and entered as their own user: each program runs from its bundle, on nothing but what is in it. */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { temporaryFolder } from '../support/services.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const PROGRAMS = ['operator', 'processor', 'producer']
const work = temporaryFolder('images')

const buildInto = (folder: string) =>
  execFileSync(process.execPath, ['images/main.ts', '--archive', folder, '--tag', 'test'], {
    cwd: ROOT,
    encoding: 'utf8',
  })

function unpack(program: string) {
  const archive = join(work, program)
  const root = join(work, `${program}-root`)
  for (const folder of [archive, root]) mkdirSync(folder)
  execFileSync('tar', ['-C', archive, '-xf', join(work, 'first', `${program}.tar`)])
  const [manifest] = JSON.parse(readFileSync(join(archive, 'manifest.json'), 'utf8'))
  for (const layer of manifest.Layers) execFileSync('tar', ['-C', root, '-xpf', join(archive, layer)])
  return { root, manifest, image: JSON.parse(readFileSync(join(archive, manifest.Config), 'utf8')) }
}

describe('images', () => {
  beforeAll(() => {
    buildInto(join(work, 'first'))
    buildInto(join(work, 'second'))
  })
  afterAll(() => rmSync(work, { recursive: true, force: true }))

  it('are the same bytes each time', () => {
    const hashes = (folder: string) =>
      readdirSync(join(work, folder)).map(name => [
        name,
        createHash('sha256')
          .update(readFileSync(join(work, folder, name)))
          .digest('hex'),
      ])
    expect(hashes('first')).toEqual(hashes('second'))
    expect(hashes('first').map(([name]) => name)).toEqual(PROGRAMS.map(name => `${name}.tar`))
  })

  it.each(PROGRAMS)('%s runs as nobody in particular, with nothing but its image', program => {
    const { root, manifest, image } = unpack(program)
    expect(manifest.RepoTags).toEqual([`salespipeline/${program}:test`])
    expect(image.config.User).toBe('10001:10001')
    expect(image.config.Labels['org.opencontainers.image.version']).toMatch(/^\d+\.\d+\.\d+/)
    const entered = ['--userspec=10001:10001', root, ...image.config.Entrypoint, '--help']
    const said = execFileSync('/usr/sbin/chroot', entered, {
      encoding: 'utf8',
      env: Object.fromEntries(image.config.Env.map((e: string) => e.split(/=(.*)/s))),
    })
    expect(said).toMatch(/SalesPipeline/)
    expect(readdirSync(join(root, 'usr/bin'))).toEqual(['node'])
  })
})
