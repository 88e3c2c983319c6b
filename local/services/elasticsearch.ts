/** A real Elasticsearch (one node, no security) on loopback. */
import { execFileSync, spawnSync } from 'node:child_process'
import { chownSync, cpSync, existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { installElasticsearch, type Progress } from './install.ts'
import { freePort, ServerProcess, stablePort, unprivilegedUser } from './process.ts'

export type ElasticsearchServer = ServerProcess & { url: string }

/** Starts it on `dataDir`. It takes 20 s on an idle machine and minutes on a busy one. */
export async function startElasticsearch(options: { dataDir: string; port?: number | undefined; progress?: Progress }): Promise<ElasticsearchServer> {
  const { dataDir, progress = () => {} } = options
  const home = await installElasticsearch(progress)
  const user = unprivilegedUser()
  const port = await stablePort(dataDir, 'elasticsearch', options.port)
  const [config, data, logs, temporary] = ['config', 'data', 'logs', 'tmp'].map(name => join(dataDir, name)) as [string, string, string, string]
  if (!existsSync(config)) cpSync(join(home, 'config'), config, { recursive: true })
  for (const folder of [data, logs, temporary]) mkdirSync(folder, { recursive: true })
  if (user) execFileSync('chown', ['-R', `${user.uid}:${user.gid}`, config, data, logs, temporary])
  if (user) chownSync(dataDir, user.uid, user.gid)
  const settings = {
    'discovery.type': 'single-node',
    'xpack.security.enabled': 'false',
    'network.host': '127.0.0.1',
    'http.port': port,
    'transport.port': await freePort(),
    'path.data': data,
    'path.logs': logs,
    'node.store.allow_mmap': 'false', // otherwise vm.max_map_count of the machine must be raised
    'cluster.routing.allocation.disk.threshold_enabled': 'false',
  }
  const server = new ServerProcess({
    name: 'Elasticsearch',
    command: join(home, 'bin', 'elasticsearch'),
    args: Object.entries(settings).map(([name, value]) => `-E${name}=${value}`),
    cwd: dataDir,
    env: { ES_JAVA_HOME: javaHome(), ES_JAVA_OPTS: '-Xms512m -Xmx512m', ES_PATH_CONF: config, ES_TMPDIR: temporary, HOME: dataDir },
    user,
    logFile: join(dataDir, 'elasticsearch.log'),
    isReady: async () => (await fetch(`http://127.0.0.1:${port}/_cluster/health?wait_for_status=yellow&timeout=1s`)).ok,
    readyWithinMs: 300_000,
  })
  await server.start()
  return Object.assign(server, { url: `http://127.0.0.1:${port}` })
}

/** This distribution brings no Java of its own. */
function javaHome(): string {
  if (process.env.JAVA_HOME) return process.env.JAVA_HOME
  const { stderr } = spawnSync('java', ['-XshowSettings:properties', '-version'], { encoding: 'utf8' })
  const home = /java\.home = (.+)/.exec(stderr)?.[1]
  if (!home) throw new Error('cannot tell where Java is installed; set JAVA_HOME')
  return home
}
