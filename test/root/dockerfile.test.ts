/**
 * Builds the Dockerfile without Docker: with buildah, on a base image made here in place of node:24-bookworm-slim
 * (Debian 12, the pinned Node, this machine's npm). The result must equal the image of `npm run images`.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { temporaryFolder } from '../support/services.ts'
import { installMissing } from './debian.ts'
import { entering, environment, type Unpacked, unpack } from './unpacked.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const CACHE = process.env.SALESPIPELINE_CACHE ?? join(ROOT, '.cache')
/** Debian is unpacked once, and npm installs everything: some minutes on a busy machine. */
const BUILD_MS = 1_200_000
const work = temporaryFolder('dockerfile')
const run = (command: string, ...args: string[]) => execFileSync(command, args, { encoding: 'utf8', cwd: ROOT }).trim()

function buildah(...args: string[]): string {
  const storage = ['--root', join(work, 'storage'), '--runroot', join(work, 'run'), '--storage-driver', 'vfs']
  const env = { ...process.env, BUILDAH_ISOLATION: 'chroot' }
  return execFileSync('buildah', [...storage, ...args], { encoding: 'utf8', cwd: ROOT, env, stdio: 'pipe' }).trim()
}

function debian(): string {
  const file = join(CACHE, 'debian-bookworm.tar')
  if (existsSync(file)) return file
  mkdirSync(CACHE, { recursive: true })
  const packages = '--include=ca-certificates,libstdc++6'
  run('mmdebstrap', '--quiet', '--variant=essential', packages, 'bookworm', `${file}.making.tar`)
  renameSync(`${file}.making.tar`, file)
  return file
}

function makeBase(): void {
  const npm = resolve(realpathSync(run('which', 'npm')), '../..')
  const container = buildah('from', 'scratch')
  buildah('add', '--quiet', container, debian(), '/')
  buildah('copy', '--quiet', container, process.execPath, '/usr/bin/node')
  buildah('copy', '--quiet', container, npm, '/usr/lib/node_modules/npm')
  buildah('run', container, '--', 'ln', '-s', '../lib/node_modules/npm/bin/npm-cli.js', '/usr/bin/npm')
  buildah('commit', '--quiet', '--rm', container, 'localhost/base')
}

/**
 * Returns the volumes with which npm in the build uses the same registry as npm here. Npm looks for its global settings
 * beside the first Node on the PATH, so ours must not be the first.
 */
function npmConfig(): string[] {
  const PATH = process.env.PATH!.split(':').filter(folder => !folder.endsWith('node_modules/.bin'))
  const env = { ...process.env, PATH: PATH.join(':') }
  const get = (name: string) =>
    execFileSync('npm', ['config', 'get', name], { encoding: 'utf8', cwd: ROOT, env }).trim()
  const [user, cache, settings] = [get('userconfig'), get('cache'), join(work, 'npmrc')]
  const authorities = [get('cafile'), process.env.NODE_EXTRA_CA_CERTS].find(file => file && existsSync(file))
  writeFileSync(settings, `registry=${get('registry')}\n${authorities ? `cafile=${authorities}\n` : ''}`)
  const mounts = [`${settings}:/usr/etc/npmrc:ro`, `${cache}:/root/.npm`]
  if (existsSync(user)) mounts.push(`${user}:/root/.npmrc:ro`)
  if (authorities) mounts.push(`${authorities}:${authorities}:ro`)
  return mounts.flatMap(mount => ['--volume', mount])
}

/** Returns path, type, mode and owner of every file. */
const listing = ({ root }: Unpacked) =>
  run('find', root, '-mindepth', '1', '-printf', '%P %y %m %U %G\n').split('\n').sort()

beforeAll(() => {
  installMissing({ buildah: 'buildah', mmdebstrap: 'mmdebstrap' })
  makeBase()
}, BUILD_MS)
afterAll(() => rmSync(work, { recursive: true, force: true }))

it(
  'builds the same image as npm run images',
  () => {
    const base = ['--build-arg', 'NODE_IMAGE=localhost/base', '--build-arg', 'REVISION=0123abc']
    buildah('build', '--layers=false', ...base, ...npmConfig(), '--target', 'processor', '--tag', 'localhost/made', '.')
    buildah('push', '--quiet', 'localhost/made', `docker-archive:${join(work, 'made.tar')}`)
    execFileSync(process.execPath, ['images/main.ts', '--archive', work], { cwd: ROOT, stdio: 'pipe' })
    const [made, expected] = ['made', 'processor'].map(name => unpack(join(work, `${name}.tar`), work)) as [
      Unpacked,
      Unpacked,
    ]

    const { Env, Labels, ...config } = made.config
    const { 'io.buildah.version': _, ...labels } = Labels
    expect({ Entrypoint: config.Entrypoint, User: config.User, WorkingDir: config.WorkingDir }).toEqual({
      Entrypoint: expected.config.Entrypoint,
      User: expected.config.User,
      WorkingDir: expected.config.WorkingDir,
    })
    expect([...Env].sort()).toEqual([...expected.config.Env].sort())
    expect(labels).toEqual({ ...expected.config.Labels, 'org.opencontainers.image.revision': '0123abc' })

    expect(listing(made)).toEqual(listing(expected))
    for (const file of [
      'app/bin/processor.mjs',
      'app/signals.cjs',
      'app/dist/native.wasm',
      'usr/bin/node',
      'etc/passwd',
    ])
      expect(readFileSync(join(made.root, file)).equals(readFileSync(join(expected.root, file))), file).toBe(true)
    const help = run('env', '--ignore-environment', '/usr/sbin/chroot', ...entering(made, ['--help']))
    expect(help).toContain('A SalesPipeline worker')
    expect(environment(made.config)).toMatchObject({ NODE_ENV: 'production' })
  },
  BUILD_MS,
)
