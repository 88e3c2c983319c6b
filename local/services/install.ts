/** Brings Kafka and Elasticsearch from Maven Central into a git-ignored cache, once. PostgreSQL comes with npm. */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Progress } from './process.ts'

const PROGRESS_EVERY_MS = 10_000

/** The folder with Kafka's jars. Installs it if it is missing. Throws with Maven's last lines. */
export function installKafka(progress: Progress): Promise<string> {
  return install('kafka', progress, into =>
    maven('kafka', ['dependency:copy-dependencies', '-DincludeScope=runtime', `-DoutputDirectory=${into}`]),
  )
}

/** Elasticsearch's home folder. Installs it if it is missing. Throws with Maven's last lines. */
export async function installElasticsearch(progress: Progress): Promise<string> {
  const folder = await install('elasticsearch', progress, async into => {
    await maven('elasticsearch', ['dependency:unpack', `-DoutputDirectory=${into}`])
    const bin = join(homeBelow(into), 'bin')
    for (const script of readdirSync(bin)) chmodSync(join(bin, script), 0o755) // unpacking loses it
  })
  return homeBelow(folder)
}

function homeBelow(folder: string): string {
  return join(folder, readdirSync(folder).find(name => name.startsWith('elasticsearch-'))!)
}

/** Where servers are kept between runs: SALESPIPELINE_CACHE, or .cache in the project. */
function cacheFolder(): string {
  return resolve(process.env.SALESPIPELINE_CACHE ?? join(import.meta.dirname, '../../.cache'))
}

/** Named after its pom's content: another version is another folder. */
async function install(name: string, progress: Progress, fill: (folder: string) => Promise<void>): Promise<string> {
  const version = createHash('sha256')
    .update(readFileSync(pomOf(name)))
    .digest('hex')
    .slice(0, 12)
  const folder = join(cacheFolder(), `${name}-${version}`)
  if (existsSync(folder)) return folder
  mkdirSync(cacheFolder(), { recursive: true })
  const making = mkdtempSync(`${folder}-`) // two processes may install at once: the first to finish wins
  const startedAt = Date.now()
  const seconds = () => `${((Date.now() - startedAt) / 1000).toFixed(0)} s`
  progress(`installing ${name} from Maven Central (once) …`)
  const timer = setInterval(() => progress(`still installing ${name}, ${seconds()} …`), PROGRESS_EVERY_MS)
  try {
    chmodSync(making, 0o755)
    await fill(making)
    keep(making, folder)
  } finally {
    clearInterval(timer)
    rmSync(making, { recursive: true, force: true })
  }
  progress(`installed ${name} in ${seconds()}`)
  return folder
}

function keep(making: string, folder: string): void {
  try {
    renameSync(making, folder)
  } catch (error) {
    if (!existsSync(folder)) throw error // otherwise the other process was first
  }
}

function pomOf(name: string): string {
  return join(import.meta.dirname, name, 'pom.xml')
}

async function maven(name: string, args: string[]): Promise<void> {
  const child = spawn('mvn', ['-q', '-B', '-f', pomOf(name), ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', data => (output += data))
  const code = await new Promise<number | null>((done, fail) => child.once('error', fail).once('close', done))
  if (code === 0) return
  throw new Error(
    `installing ${name} failed; can Maven reach its repository? mvn ${args[0]} says:\n${output.trimEnd().split('\n').slice(-15).join('\n')}`,
  )
}
