/** Installs Kafka and Elasticsearch from Maven Central into a git-ignored cache. PostgreSQL is an npm package. */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Progress } from './process.ts'

const PROGRESS_EVERY_MS = 10_000

/** Resolves with the folder of Kafka's jars, which it installs if missing. Throws an Error with Maven's last lines. */
export function installKafka(progress: Progress): Promise<string> {
  return install('kafka', progress, into =>
    maven('kafka', ['dependency:copy-dependencies', '-DincludeScope=runtime', `-DoutputDirectory=${into}`]),
  )
}

/** Resolves with Elasticsearch's home folder, which it installs if missing. Throws an Error with Maven's last lines. */
export async function installElasticsearch(progress: Progress): Promise<string> {
  const folder = await install('elasticsearch', progress, async into => {
    await maven('elasticsearch', ['dependency:unpack', `-DoutputDirectory=${into}`])
    const bin = join(homeBelow(into), 'bin')
    for (const script of readdirSync(bin)) chmodSync(join(bin, script), 0o755) // Maven unpacks files without their mode
  })
  return homeBelow(folder)
}

function homeBelow(folder: string): string {
  return join(folder, readdirSync(folder).find(name => name.startsWith('elasticsearch-'))!)
}

/** The folder that keeps servers between runs: SALESPIPELINE_CACHE, or .cache in the project. */
function cacheFolder(): string {
  return resolve(process.env.SALESPIPELINE_CACHE ?? join(import.meta.dirname, '../../.cache'))
}

/** Names the folder after the content of the pom, so that another version gets another folder. */
async function install(name: string, progress: Progress, fill: (folder: string) => Promise<void>): Promise<string> {
  const version = createHash('sha256')
    .update(readFileSync(pomOf(name)))
    .digest('hex')
    .slice(0, 12)
  const folder = join(cacheFolder(), `${name}-${version}`)
  if (existsSync(folder)) return folder
  mkdirSync(cacheFolder(), { recursive: true })
  const partial = mkdtempSync(`${folder}-`) // two processes may install at the same time: the first to finish wins
  const startedAt = Date.now()
  const seconds = () => `${((Date.now() - startedAt) / 1000).toFixed(0)} s`
  progress(`installing ${name} from Maven Central (once) …`)
  const timer = setInterval(() => progress(`still installing ${name}, ${seconds()} …`), PROGRESS_EVERY_MS)
  try {
    chmodSync(partial, 0o755)
    await fill(partial)
    moveIntoPlace(partial, folder)
  } finally {
    clearInterval(timer)
    rmSync(partial, { recursive: true, force: true })
  }
  progress(`installed ${name} in ${seconds()}`)
  return folder
}

function moveIntoPlace(partial: string, folder: string): void {
  try {
    renameSync(partial, folder)
  } catch (error) {
    if (!existsSync(folder)) throw error // the other process was first
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
    `cannot install ${name}: mvn ${args[0]} failed. Check that Maven can reach its repository. Last lines of its output:\n${output.trimEnd().split('\n').slice(-15).join('\n')}`,
  )
}
