/** Unpacks the images and runs each program as the image's user, with only the files of the image. */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { parse, stringify } from 'yaml'
import { debianData, ownersOf, readSbom, schemaFaults } from '../support/image-packages.ts'
import { temporaryFolder } from '../support/services.ts'
import { entering, environment, startAsFirst, type Unpacked, unpack } from './unpacked.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const PROGRAMS = ['operator', 'processor', 'producer', 'verify']
const work = temporaryFolder('images')
const images = new Map<string, Unpacked>()

/** SOURCE_DATE_EPOCH of the builds, in seconds: a day other than the default. */
const EPOCH = 86_400
const buildInto = (folder: string) =>
  execFileSync(process.execPath, ['images/main.ts', '--archive', folder, '--tag', 'test'], {
    cwd: ROOT,
    encoding: 'utf8',
    env: { ...process.env, SOURCE_DATE_EPOCH: String(EPOCH) },
  })

beforeAll(() => {
  buildInto(join(work, 'first'))
  buildInto(join(work, 'second'))
  for (const name of PROGRAMS) images.set(name, unpack(join(work, 'first', `${name}.tar`), work))
})
afterAll(() => rmSync(work, { recursive: true, force: true }))

/** Before the programs run, because they write caches into the unpacked images. */
describe('the packages of an image', () => {
  const md5 = (path: string) => createHash('md5').update(readFileSync(path)).digest('hex')
  const locked = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')).packages

  it.each(PROGRAMS)('lists them for %s in a form that the schema of CycloneDX accepts', program => {
    expect(schemaFaults(images.get(program)!.root)).toEqual([])
  })

  it.each(PROGRAMS)('names one owner for every file of %s that is not ours', program => {
    const owners = ownersOf(images.get(program)!.root)
    expect(owners.map(([path]) => path)).toContain('usr/bin/node')
    expect(owners.filter(([, names]) => names.length !== 1)).toEqual([])
  })

  it.each(PROGRAMS)('contains the data of every Debian package of %s, as scanners read it', program => {
    const { root } = images.get(program)!
    const data = debianData(root)
    const listed = readSbom(root).components.filter(({ purl }) => purl.startsWith('pkg:deb/'))
    expect(Object.keys(data).sort()).toEqual(listed.map(({ name }) => name).sort())
    expect(Object.keys(data)).toEqual(expect.arrayContaining(['base-files', 'libc6', 'libstdc++6']))
    for (const { name, version, purl, components } of listed) {
      const { fields, files } = data[name]!
      expect(fields).toMatchObject({ Package: name, Version: version, Architecture: expect.stringMatching(/^\w+$/) })
      expect(fields).not.toHaveProperty('Status')
      expect(purl).toMatch(/distro=debian-\d+/)
      expect(files.map(({ path }) => `/${path}`)).toEqual(components!.map(({ name }) => name).sort())
      for (const file of files) expect(md5(join(root, file.path)), file.path).toBe(file.md5)
      expect(files.map(({ path }) => path)).toContain(`usr/share/doc/${name}/copyright`)
    }
    expect(readFileSync(join(root, 'etc/debian_version'), 'utf8')).toMatch(/^\d+\.\d+/)
  })

  it.each([
    ['operator', ['@kubernetes/client-node', 'pino'], ['pg', 'kafkajs', 'vitest', 'esbuild']],
    ['processor', ['pg', 'pg-types', '@platformatic/kafka', '@platformatic/wasm-utils'], ['fastify', 'kafkajs']],
    ['producer', ['fastify', 'jose'], ['kafkajs', 'vitest']],
    ['verify', ['kafkajs', 'fzstd', 'big.js', 'pg'], ['@platformatic/kafka', 'vitest']],
  ])('lists each npm package of %s with version, hash and licence', (program, some, none) => {
    const { root } = images.get(program)!
    const listed = readSbom(root).components.filter(({ purl }) => purl.startsWith('pkg:npm/'))
    const names = listed.map(({ group, name }) => (group ? `${group}/${name}` : name))
    expect(names).toEqual(expect.arrayContaining(some))
    expect(names.filter(name => none.includes(name))).toEqual([])
    const licences = readFileSync(join(root, 'usr/share/doc/salespipeline/npm-licences.txt'), 'utf8')
    for (const [i, { version, purl, licenses, hashes }] of listed.entries()) {
      const name = names[i]!
      const copies = Object.keys(locked).filter(path => path.endsWith(`node_modules/${name}`))
      const copy = locked[copies.find(path => locked[path].version === version)!]
      // The hosted workflow looks for vulnerabilities in these only.
      expect(copy.dev, `${name} is a package for development only`).toBeUndefined()
      expect(purl).toBe(`pkg:npm/${name.replace('@', '%40')}@${version}`)
      expect(hashes).toEqual([
        { alg: 'SHA-512', content: Buffer.from(copy.integrity.slice(7), 'base64').toString('hex') },
      ])
      expect(licenses[0]!.expression ?? licenses[0]!.license!.id).toBe(copy.license)
      expect(licences).toContain(`\n${name} ${version} (${copy.license})\n`)
    }
    expect(licences).toContain('Permission is hereby granted, free of charge')
  })

  it('ships the licences of Node and of this project in the image', () => {
    const { root } = images.get('processor')!
    expect(readFileSync(join(root, 'usr/share/doc/node/LICENSE'), 'utf8')).toMatch(
      /^Node\.js is licensed[\s\S]+OpenSSL/,
    )
    expect(readFileSync(join(root, 'usr/share/doc/salespipeline/LICENSE'), 'utf8')).toContain('Apache License')
  })
})

describe('images', () => {
  it('builds the same bytes each time', () => {
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

  it.each(PROGRAMS)('runs %s as an unprivileged user, with only the files of its image', program => {
    const image = images.get(program)!
    expect(image.tags).toEqual([`salespipeline/${program}:test`])
    expect(image.config.User).toBe('10001:10001')
    const entered = entering(image, ['--help'])
    const output = execFileSync('/usr/sbin/chroot', entered, { encoding: 'utf8', env: environment(image.config) })
    expect(output).toMatch(/SalesPipeline/)
    expect(readdirSync(join(image.root, 'usr/bin'))).toEqual(['node'])
  })

  it.each(PROGRAMS)('labels the image of %s with title, version, commit and time', program => {
    const { config, created } = images.get(program)!
    const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
    const commit = execFileSync('git', ['rev-parse', 'HEAD'], { cwd: ROOT, encoding: 'utf8' }).trim()
    const label = (name: string) => config.Labels[`org.opencontainers.image.${name}`]
    expect(created).toBe('1970-01-02T00:00:00.000Z')
    expect(label('title')).toMatch(/^SalesPipeline /)
    expect(label('description')).toBe(manifest.description)
    expect(label('version')).toBe(manifest.version)
    expect(label('licenses')).toBe(manifest.license)
    // The revision of a working copy that differs from its commit ends in -dirty.
    expect(label('revision')!.replace(/-dirty$/, '')).toBe(commit)
  })
})

/** Loaded after the image's own preload and before its program, which does not start until stdin ends. */
const SLOW = `process.stdout.write('starting\\n')
for await (const _ of process.stdin);`
const unguarded = (entrypoint: string[]) => entrypoint.toSpliced(entrypoint.indexOf('--require'), 2)

/** Starts a program that waits while it starts, and sends it the signal. */
async function whileStarting(image: Unpacked, signal: NodeJS.Signals, entrypoint: string[]) {
  writeFileSync(join(image.root, 'slow.mjs'), SLOW)
  const first = startAsFirst(image, { args: ['--help'], entrypoint, env: { NODE_OPTIONS: '--import=/slow.mjs' } })
  await first.printed(/starting/)
  first.signal(signal)
  first.stdin.on('error', () => {}) // the process may have ended
  return first
}

describe('a signal to process 1', () => {
  const signals = [
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const
  const cases = PROGRAMS.flatMap(program => signals.map(([signal, code]) => ({ program, signal, code })))

  it.each(cases)('ends $program on $signal while it starts', async ({ program, signal, code }) => {
    const image = images.get(program)!
    const first = await whileStarting(image, signal, image.config.Entrypoint)
    expect(await first.ended).toMatchObject({ code, stdout: 'starting\n' })
  })

  it.each(cases)('loses $signal in $program without the preload, while it starts', async ({ program, signal }) => {
    const image = images.get(program)!
    const first = await whileStarting(image, signal, unguarded(image.config.Entrypoint))
    first.stdin.end()
    expect(await first.ended).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^starting\n(?:.*\n)*.*SalesPipeline/),
    })
  })

  /** Writes the example with unreachable servers into the image. Returns its path there. */
  function document({ root }: Unpacked): string {
    const { metadata, spec, ...rest } = parse(readFileSync(join(ROOT, 'k8s/examples/product-sales.yaml'), 'utf8'))
    const source = { ...spec.source, bootstrapServers: ['127.0.0.1:9'] }
    const sinks = { postgres: { host: '127.0.0.1', database: spec.sinks.postgres.database } }
    writeFileSync(join(root, 'pipeline.yaml'), stringify({ ...rest, metadata, spec: { ...spec, source, sinks } }))
    return '/pipeline.yaml'
  }

  it('stops a worker in order while it waits for Kafka', async () => {
    const image = images.get('processor')!
    const env = { HTTP_PORT: '0', PGUSER: 'nobody', PGPASSWORD: 'none' }
    const first = startAsFirst(image, { args: ['--file', document(image)], env })
    await first.printed(/"retrying"/)
    first.signal('SIGTERM')
    expect((await first.ended).code).toBe(0)
  })

  it('ends the verifier, which handles no signals, while it works', async () => {
    const image = images.get('verify')!
    const silent = createServer().listen(0, '127.0.0.1')
    onTestFinished(() => void silent.close())
    await once(silent, 'listening')
    const { port } = silent.address() as AddressInfo
    const first = startAsFirst(image, { args: [document(image), '--pg-host=127.0.0.1', `--pg-port=${port}`] })
    await once(silent, 'connection')
    first.signal('SIGTERM')
    expect((await first.ended).code).toBe(143)
  })
})
