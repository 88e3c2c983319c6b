/** Debian's Prometheus and promtool. */
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type ServerOptions, ServerProcess, stablePort } from '#local/services/process.ts'
import { debianPackages } from './debian-package.ts'

const HOST = '127.0.0.1'

/** Resolves with the program's path. */
async function prometheusProgram(name: 'prometheus' | 'promtool'): Promise<string> {
  return join(await debianPackages('prometheus'), 'usr/bin', name)
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
