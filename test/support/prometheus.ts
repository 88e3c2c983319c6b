/** Debian's Prometheus and promtool, unpacked in the cache: nothing is installed, and no service starts. */
import { execFile, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { type ServerOptions, ServerProcess, stablePort } from '#local/services/process.ts'

const CACHE = resolve(process.env.SALESPIPELINE_CACHE ?? join(import.meta.dirname, '../../.cache'))
const FOLDER = join(CACHE, 'prometheus-debian')
const HOST = '127.0.0.1'
const run = promisify(execFile)

/** Resolves with the program's path, and downloads it the first time. Rejects with apt's error if this is not Debian. */
async function prometheusProgram(name: 'prometheus' | 'promtool'): Promise<string> {
  if (!existsSync(FOLDER)) await fetchPackage()
  return join(FOLDER, 'usr/bin', name)
}

/**
 * Downloads to a temporary folder first, because two test files may do this at once, and one may be killed. Blocks
 * nothing: an operator that runs in the test's process would lose its lease.
 */
async function fetchPackage(): Promise<void> {
  mkdirSync(CACHE, { recursive: true })
  const work = mkdtempSync(join(CACHE, 'prometheus-'))
  await run('apt-get', ['download', '-q', 'prometheus'], { cwd: work })
  const [archive] = readdirSync(work).filter(file => file.endsWith('.deb'))
  await run('dpkg', ['-x', join(work, archive!), join(work, 'root')])
  try {
    renameSync(join(work, 'root'), FOLDER)
  } catch (error) {
    if (!existsSync(FOLDER)) throw error
  }
  rmSync(work, { recursive: true, force: true })
}

/** Runs promtool. Resolves with its output, and whether it exited with 0. */
export async function promtool(...args: string[]): Promise<{ ok: boolean; text: string }> {
  const { status, stdout, stderr } = spawnSync(await prometheusProgram('promtool'), args, { encoding: 'utf8' })
  return { ok: status === 0, text: `${stdout}${stderr}` }
}

/** Starts Prometheus with a configuration (prometheus.yml, as JSON). */
export async function startPrometheus({ dataDir, temporary }: ServerOptions, config: object) {
  const port = await stablePort(dataDir, 'prometheus', undefined)
  const url = `http://${HOST}:${port}`
  const file = join(dataDir, 'prometheus.json')
  writeFileSync(file, JSON.stringify(config))
  const args = [
    `--config.file=${file}`,
    `--storage.tsdb.path=${join(dataDir, 'data')}`,
    `--web.listen-address=${HOST}:${port}`,
    '--log.level=warn',
  ]
  const server = new ServerProcess({
    name: 'prometheus',
    dataDir,
    temporary,
    prepare: async () => ({
      command: await prometheusProgram('prometheus'),
      args,
      cwd: dataDir,
      port,
      stopSignal: 'SIGTERM',
    }),
    isReady: () => fetch(`${url}/-/ready`).then(response => response.ok),
    readyWithinMs: 60_000,
  })
  await server.start()
  return Object.assign(server, { url })
}
