/** `npm run images -- --push`: pushes to a real registry with skopeo, and with skopeo's own credentials and settings. */
import { execFile, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, expect, it, onTestFinished } from 'vitest'
import { freePort } from '#local/services/host.ts'
import { ownFolder } from '../support/folder.ts'
import { until } from '../support/until.ts'
import { installMissing } from './debian.ts'
import { unpack } from './unpacked.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const MINUTES = 60_000

beforeAll(() => installMissing({ skopeo: 'skopeo', 'docker-registry': 'docker-registry' }))

async function startRegistry(folder: string): Promise<string> {
  const address = `127.0.0.1:${await freePort()}`
  const config = join(folder, 'registry.yaml')
  writeFileSync(
    config,
    JSON.stringify({
      version: 0.1,
      storage: { filesystem: { rootdirectory: join(folder, 'registry') } },
      http: { addr: address },
    }),
  )
  const server = spawn('docker-registry', ['serve', config], { stdio: 'ignore' })
  onTestFinished(async () => {
    server.kill('SIGKILL')
    await once(server, 'close')
  })
  await until('a registry', async () => (await fetch(`http://${address}/v2/`).catch(() => null))?.ok === true, MINUTES)
  return address
}

it(
  'pushes all images unchanged to a registry',
  async () => {
    const folder = ownFolder('push')
    const address = await startRegistry(folder)
    // skopeo reads the settings of the user who pushes from here.
    const settings = join(folder, '.config/containers')
    mkdirSync(settings, { recursive: true })
    writeFileSync(join(settings, 'registries.conf'), `[[registry]]\nlocation = "${address}"\ninsecure = true\n`)
    const env = { ...process.env, HOME: folder }
    const push = ['images/main.ts', '--push', `${address}/shop`, '--tag', 'pushed']
    const { stdout } = await promisify(execFile)(process.execPath, push, { cwd: ROOT, env })
    expect(stdout).toContain(`--set images.registry=${address}/shop --set images.tag=pushed`)

    const { repositories } = (await (await fetch(`http://${address}/v2/_catalog`)).json()) as { repositories: string[] }
    const names = ['operator', 'processor', 'producer', 'verify'].map(name => `shop/salespipeline/${name}`)
    expect(repositories.sort()).toEqual(names)
    const archive = join(folder, 'verify.tar')
    const source = `docker://${address}/shop/salespipeline/verify:pushed`
    execFileSync('skopeo', ['copy', source, `docker-archive:${archive}`], { env, stdio: 'pipe' })
    const { config } = unpack(archive, folder)
    expect(config.Entrypoint.at(-1)).toBe('/app/bin/verify.mjs')
    expect(config.Labels['org.opencontainers.image.title']).toBe('SalesPipeline verifier')
  },
  10 * MINUTES,
)
