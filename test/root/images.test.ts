/** The images, unpacked and entered as their own user: each program runs from its bundle, on nothing but what is in it. */
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

/** When: a day that is not the first of 1970, in seconds. */
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
    const image = images.get(program)!
    expect(image.tags).toEqual([`salespipeline/${program}:test`])
    expect(image.config.User).toBe('10001:10001')
    const entered = entering(image, ['--help'])
    const said = execFileSync('/usr/sbin/chroot', entered, { encoding: 'utf8', env: environment(image.config) })
    expect(said).toMatch(/SalesPipeline/)
    expect(readdirSync(join(image.root, 'usr/bin'))).toEqual(['node'])
  })

  it.each(PROGRAMS)('%s says what it is, of which commit, and when', program => {
    const { config, created } = images.get(program)!
    const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
    const commit = execFileSync('git', ['rev-parse', 'HEAD'], { cwd: ROOT, encoding: 'utf8' }).trim()
    const label = (name: string) => config.Labels[`org.opencontainers.image.${name}`]
    expect(created).toBe('1970-01-02T00:00:00.000Z')
    expect(label('title')).toMatch(/^SalesPipeline /)
    expect(label('description')).toBe(manifest.description)
    expect(label('version')).toBe(manifest.version)
    expect(label('licenses')).toBe(manifest.license)
    // A working copy that differs from its commit says so.
    expect(label('revision')!.replace(/-dirty$/, '')).toBe(commit)
  })
})

/** Loaded after what the image loads first, before its program: nothing of the program has run until stdin ends. */
const SLOW = `process.stdout.write('starting\\n')
for await (const _ of process.stdin);`
const unguarded = (entrypoint: string[]) => entrypoint.toSpliced(entrypoint.indexOf('--require'), 2)

/** Sends the signal to a program whose start takes long, then lets it go on, to its help. */
async function whileStarting(image: Unpacked, signal: NodeJS.Signals, entrypoint: string[]) {
  writeFileSync(join(image.root, 'slow.mjs'), SLOW)
  const first = startAsFirst(image, { args: ['--help'], entrypoint, env: { NODE_OPTIONS: '--import=/slow.mjs' } })
  await first.said(/starting/)
  first.signal(signal)
  first.stdin.on('error', () => {}) // it may be gone
  return first
}

describe('a signal to process 1', () => {
  const signals = [
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const
  const cases = PROGRAMS.flatMap(program => signals.map(([signal, code]) => ({ program, signal, code })))

  it.each(cases)('ends $program while it starts: $signal', async ({ program, signal, code }) => {
    const image = images.get(program)!
    const first = await whileStarting(image, signal, image.config.Entrypoint)
    expect(await first.ended).toMatchObject({ code, stdout: 'starting\n' })
  })

  it.each(cases)('would be lost on $program without what is loaded first: $signal', async ({ program, signal }) => {
    const image = images.get(program)!
    const first = await whileStarting(image, signal, unguarded(image.config.Entrypoint))
    first.stdin.end()
    expect(await first.ended).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^starting\n(?:.*\n)*.*SalesPipeline/),
    })
  })

  /** The example, in the image, on servers that are not there. */
  function document({ root }: Unpacked): string {
    const { metadata, spec, ...rest } = parse(readFileSync(join(ROOT, 'k8s/examples/product-sales.yaml'), 'utf8'))
    const source = { ...spec.source, bootstrapServers: ['127.0.0.1:9'] }
    const sinks = { postgres: { host: '127.0.0.1', database: spec.sinks.postgres.database } }
    writeFileSync(join(root, 'pipeline.yaml'), stringify({ ...rest, metadata, spec: { ...spec, source, sinks } }))
    return '/pipeline.yaml'
  }

  it('is the program’s own once it listens: a worker that waits for Kafka stops in order', async () => {
    const image = images.get('processor')!
    const env = { HTTP_PORT: '0', PGUSER: 'nobody', PGPASSWORD: 'none' }
    const first = startAsFirst(image, { args: ['--file', document(image)], env })
    await first.said(/"retrying"/)
    first.signal('SIGTERM')
    expect((await first.ended).code).toBe(0)
  })

  it('ends the verifier while it works, too: it never listens', async () => {
    const image = images.get('verify')!
    const mute = createServer().listen(0, '127.0.0.1')
    onTestFinished(() => void mute.close())
    await once(mute, 'listening')
    const { port } = mute.address() as AddressInfo
    const first = startAsFirst(image, { args: [document(image), '--pg-host=127.0.0.1', `--pg-port=${port}`] })
    await once(mute, 'connection')
    first.signal('SIGTERM')
    expect((await first.ended).code).toBe(143)
  })
})
