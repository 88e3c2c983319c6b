/** Debian's Prometheus and promtool, unpacked in the cache: nothing is installed, and no service starts. */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type ServerOptions, ServerProcess, stablePort } from '#local/services/process.ts'

const CACHE = resolve(process.env.SALESPIPELINE_CACHE ?? join(import.meta.dirname, '../../.cache'))
const FOLDER = join(CACHE, 'prometheus-debian')
const HOST = '127.0.0.1'

/** Returns the path of the program, which is downloaded the first time. Throws apt's error when this is not Debian. */
export function prometheusProgram(name: 'prometheus' | 'promtool'): string {
  if (!existsSync(FOLDER)) fetchPackage()
  return join(FOLDER, 'usr/bin', name)
}

/** Downloads to a temporary folder first, because two test files may do this at once, and one may be killed. */
function fetchPackage(): void {
  mkdirSync(CACHE, { recursive: true })
  const work = mkdtempSync(join(CACHE, 'prometheus-'))
  execFileSync('apt-get', ['download', '-q', 'prometheus'], { cwd: work, stdio: ['ignore', 'ignore', 'pipe'] })
  const [archive] = readdirSync(work).filter(file => file.endsWith('.deb'))
  execFileSync('dpkg', ['-x', join(work, archive!), join(work, 'root')])
  try {
    renameSync(join(work, 'root'), FOLDER)
  } catch (error) {
    if (!existsSync(FOLDER)) throw error
  }
  rmSync(work, { recursive: true, force: true })
}

/** Runs promtool. Returns its output, and whether it exited with 0. */
export function promtool(...args: string[]): { ok: boolean; text: string } {
  const { status, stdout, stderr } = spawnSync(prometheusProgram('promtool'), args, { encoding: 'utf8' })
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
      command: prometheusProgram('prometheus'),
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
