/** Elasticsearch on loopback: one node, no security. */
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, javaHome, unprivilegedUser } from './host.ts'
import { installElasticsearch } from './install.ts'
import { type ServerOptions, ServerProcess, stablePort } from './process.ts'

export type ElasticsearchServer = ServerProcess & { url: string }

/**
 * Starts Elasticsearch on `dataDir`. It needs 20 s on an idle machine, minutes on a busy one. Throws an Error that says
 * what to do.
 */
export async function startElasticsearch({
  dataDir,
  port: requestedPort,
  progress = () => {},
  onStarting = () => {},
  temporary,
}: ServerOptions): Promise<ElasticsearchServer> {
  const home = await installElasticsearch(progress)
  let port = requestedPort
  const server = new ServerProcess({
    name: 'Elasticsearch',
    dataDir,
    temporary,
    prepare: async () => {
      port = await stablePort(dataDir, 'elasticsearch', port)
      const user = unprivilegedUser([home, dataDir])
      const folders = prepareFolders(home, dataDir)
      if (user) execFileSync('chown', ['-R', `${user.uid}:${user.gid}`, ...Object.values(folders)])
      const settings = {
        ...SETTINGS,
        'http.port': port,
        'transport.port': await freePort(),
        'path.data': folders.data,
        'path.logs': folders.logs,
      }
      return {
        command: join(home, 'bin', 'elasticsearch'),
        args: Object.entries(settings).map(([name, value]) => `-E${name}=${value}`),
        env: {
          ES_JAVA_HOME: javaHome(),
          ES_JAVA_OPTS: '-Xms512m -Xmx512m',
          ES_PATH_CONF: folders.config,
          ES_TMPDIR: folders.tmp,
          CLI_JAVA_OPTS: `-Djava.io.tmpdir=${folders.tmp}`, // its launcher does not delete the folders that it creates there
          HOME: folders.tmp,
        },
        cwd: folders.tmp,
        user,
        port,
        stopSignal: 'SIGTERM',
      }
    },
    // This distribution does not answer GET /.
    isReady: async () => (await fetch(`http://127.0.0.1:${port}/_cluster/health?wait_for_status=yellow&timeout=1s`)).ok,
    readyWithinMs: 240_000,
  })
  onStarting(server)
  await server.start()
  return Object.assign(server, { url: `http://127.0.0.1:${port}` })
}

const SETTINGS = {
  'discovery.type': 'single-node',
  'xpack.security.enabled': false,
  'network.host': '127.0.0.1',
  'node.store.allow_mmap': false, // with mmap, the machine's vm.max_map_count would have to be raised
  'cluster.routing.allocation.disk.threshold_enabled': false, // by default it refuses writes on a disk that is 90% full
}

/** Copies the configuration, because Elasticsearch writes a keystore into it. */
function prepareFolders(home: string, dataDir: string): Record<'config' | 'data' | 'logs' | 'tmp', string> {
  const folders = {
    config: join(dataDir, 'config'),
    data: join(dataDir, 'data'),
    logs: join(dataDir, 'logs'),
    tmp: join(dataDir, 'tmp'),
  }
  if (!existsSync(folders.config)) cpSync(join(home, 'config'), folders.config, { recursive: true })
  for (const folder of Object.values(folders)) mkdirSync(folder, { recursive: true })
  return folders
}
