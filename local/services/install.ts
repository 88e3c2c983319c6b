/** Brings Kafka and Elasticsearch from Maven Central into a git-ignored cache, once. PostgreSQL comes with npm. */
import { spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { createHash } from 'node:crypto'
import { join, resolve } from 'node:path'

const here = import.meta.dirname
const root = resolve(here, '../..')

/** Told what is going on, a line at a time. */
export type Progress = (line: string) => void

/** Where servers are kept between runs: SALESPIPELINE_CACHE, or .cache in the project. */
export function cacheFolder(): string {
  return resolve(process.env.SALESPIPELINE_CACHE ?? join(root, '.cache'))
}

/** The folder with Kafka's jars. Installs it if it is missing. Throws with Maven's last lines. */
export function installKafka(progress: Progress): Promise<string> {
  return install('kafka', progress, (pom, into) => ['-f', pom, 'dependency:copy-dependencies', `-DoutputDirectory=${into}`, '-DincludeScope=runtime'])
}

/** Elasticsearch's home folder. Installs it if it is missing. Throws with Maven's last lines. */
export async function installElasticsearch(progress: Progress): Promise<string> {
  const folder = await install('elasticsearch', progress, (pom, into) => ['-f', pom, 'dependency:unpack', `-DoutputDirectory=${into}`])
  const home = join(folder, readdirSync(folder).find(name => name.startsWith('elasticsearch-'))!)
  for (const script of readdirSync(join(home, 'bin'))) chmodSync(join(home, 'bin', script), 0o755) // unpacking loses it
  return home
}

/** Named after its pom's content: another version is another folder. */
async function install(name: string, progress: Progress, goals: (pom: string, into: string) => string[]): Promise<string> {
  const pom = join(here, name, 'pom.xml')
  const folder = join(cacheFolder(), `${name}-${createHash('sha256').update(readFileSync(pom)).digest('hex').slice(0, 12)}`)
  if (existsSync(folder)) return folder
  mkdirSync(cacheFolder(), { recursive: true })
  progress(`installing ${name} from Maven Central (once) …`)
  const startedAt = Date.now()
  const making = mkdtempSync(`${folder}-`) // two processes may install at once: the first to finish wins
  chmodSync(making, 0o755)
  try {
    await maven(goals(pom, making))
    if (existsSync(folder)) rmSync(making, { recursive: true })
    else renameSync(making, folder)
  } catch (error) {
    rmSync(making, { recursive: true, force: true })
    throw error
  }
  progress(`installed ${name} in ${((Date.now() - startedAt) / 1000).toFixed(0)} s`)
  return folder
}

async function maven(goals: string[]): Promise<void> {
  const child = spawn('mvn', ['-q', '-B', ...goals], { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', data => (output += data))
  const code = await new Promise<number | null>((done, fail) => child.once('error', fail).once('close', done))
  if (code !== 0) throw new Error(`mvn ${goals.join(' ')} failed:\n${output.split('\n').slice(-15).join('\n')}`)
}
