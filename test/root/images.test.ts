/** Unpacks the images and runs each program as the image's user, with only the files of the image. */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { parse, stringify } from 'yaml'
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
