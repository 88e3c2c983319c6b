/** `npm run images`: the images of all programs, built without Docker and brought to where they are wanted. */
import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import yargs from 'yargs'
import { hideBin } from 'yargs/helpers'
import { packLayer, writeArchive } from './archive.ts'
import { configOf, readProject } from './config.ts'
import { type Destination, type Image, kind, minikube, registry, UserError } from './destinations.ts'
import { writeProgram, writeRuntime } from './filesystem.ts'
import { PROGRAMS } from './programs.ts'

const REPOSITORY = 'salespipeline'
const CHART = 'helm upgrade --install sales charts/sales-pipeline -f charts/sales-pipeline/values-laptop.yaml'
const names = PROGRAMS.map(({ name }) => name)
const project = readProject()
const tell = (line: string) => process.stderr.write(`${line}\n`)
const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`

const argv = await yargs(hideBin(process.argv))
  .scriptName('npm run images --')
  .usage(
    `$0 <where>\n\nBuilds the images ${REPOSITORY}/{${names.join(',')}} without Docker, and brings them to one place. ` +
      'The same commit gives the same bytes on the same system.',
  )
  .option('archive', { type: 'string', describe: `Files: DIR/${names[0]}.tar and so on, as docker save writes them` })
  .option('kind', { type: 'string', describe: 'The nodes of a kind cluster (default: kind)' })
  .option('minikube', { type: 'string', describe: 'The nodes of a minikube profile (default: minikube)' })
  .option('push', { type: 'string', describe: 'A registry, by skopeo or docker, whichever is there: ghcr.io/me' })
  .option('rootfs', { type: 'string', describe: 'Folders: what the images hold, DIR/runtime and one for each program' })
  .option('tag', { type: 'string', default: project.version, describe: 'Of the images' })
  .example('$0 --kind', `then: ${CHART}`)
  .example('$0 --push ghcr.io/me', 'as ghcr.io/me/salespipeline/operator and so on')
  .example('$0 --archive images.out', 'then: docker load -i images.out/operator.tar, or ctr -n k8s.io images import …')
  .epilogue(
    'A registry’s credentials are those that skopeo or docker has: log in before with skopeo login or docker login. ' +
      'They are never read here.\nSOURCE_DATE_EPOCH is when the images say they were created (default: 0).',
  )
  .check(({ archive, kind, minikube, push, rootfs }) => {
    const given = [archive, kind, minikube, push, rootfs].filter(value => value !== undefined)
    if (given.length !== 1) throw new UserError('Name one place: --archive, --kind, --minikube, --push or --rootfs.')
    if ([archive, push, rootfs].includes(''))
      throw new UserError('--archive and --rootfs take a folder, --push a registry.')
    return true
  })
  .strict()
  .wrap(Math.min(120, process.stdout.columns ?? 100))
  .fail((message, error) => fail(error ?? new UserError(message)))
  .parseAsync()

async function run(): Promise<void> {
  if (argv.rootfs !== undefined) return writeFolders(resolve(argv.rootfs))
  if (argv.archive !== undefined) {
    const into = resolve(argv.archive)
    mkdirSync(into, { recursive: true })
    for (const { tag, archive } of await build(into)) process.stdout.write(`${tag} → ${archive}\n`)
    return
  }
  await buildAndLoad(destination())
}

function destination(): Destination {
  if (argv.kind !== undefined) return kind(argv.kind || 'kind')
  if (argv.minikube !== undefined) return minikube(argv.minikube || 'minikube')
  return registry(argv.push!)
}

async function buildAndLoad({ name, load, helm }: Destination): Promise<void> {
  await inTemporaryFolder(async folder => {
    for (const image of await build(folder)) {
      tell(`${image.tag} → ${name} …`)
      await load(image)
    }
  })
  const tag = argv.tag === project.version ? [] : [`--set images.tag=${argv.tag}`]
  process.stdout.write(`They are there. Now:\n  ${[CHART, ...helm, ...tag].join(' ')}\n`)
}

async function build(into: string): Promise<Image[]> {
  tell(`building ${names.length} images …`)
  return inTemporaryFolder(async work => {
    await writeFolders(work)
    const runtime = await packLayer(work, join(work, 'runtime'))
    const images: Image[] = []
    for (const program of PROGRAMS) {
      const image = { archive: join(into, `${program.name}.tar`), tag: `${REPOSITORY}/${program.name}:${argv.tag}` }
      const own = await packLayer(work, join(work, program.name))
      writeArchive(image.archive, image.tag, [runtime, own], configOf(program, project))
      tell(`built ${image.tag}, ${megabytes(statSync(image.archive).size)}`)
      images.push(image)
    }
    return images
  })
}

/** What the images hold. */
async function writeFolders(folder: string): Promise<void> {
  await writeRuntime(join(folder, 'runtime'))
  for (const program of PROGRAMS) await writeProgram(join(folder, program.name), program)
}

async function inTemporaryFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'images-'))
  try {
    return await use(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function fail(error: Error): never {
  tell(error instanceof UserError ? `${error.message}\nSee npm run images -- --help.` : error.stack!)
  process.exit(1)
}

await run().catch(fail)
