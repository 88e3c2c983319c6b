/** `npm run images`: builds the images of all programs without Docker and loads them into a cluster or a registry. */
import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import yargs from 'yargs'
import { hideBin } from 'yargs/helpers'
import { strictly } from '#common/command-line.ts'
import { writeLines } from '#common/output.ts'
import { runMain } from '#common/run-main.ts'
import { UsageError } from '#pipeline/user-error.ts'
import { packLayer, writeArchive } from './archive.ts'
import { configOf, imageOf, readProject } from './config.ts'
import { type Destination, HELP, type Image, kind, minikube, registry } from './destinations.ts'
import { writeProgram, writeRuntime } from './filesystem.ts'
import { PROGRAMS } from './programs.ts'

const CHART = 'helm upgrade --install sales charts/sales-pipeline -f charts/sales-pipeline/values-laptop.yaml'
const names = PROGRAMS.map(({ name }) => name)
const project = readProject()
const log = (line: string) => writeLines(process.stderr, line)
const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`

const commandLine = yargs(hideBin(process.argv))
  .scriptName('npm run images --')
  .usage(
    `$0 <destination>\n\nBuilds the images ${imageOf(`{${names.join(',')}}`)} without Docker, and loads them into one destination. ` +
      'The same commit gives the same bytes on the same system.',
  )
  .option('archive', { type: 'string', describe: `Folder for ${names[0]}.tar and so on, in the format of docker save` })
  .option('kind', { type: 'string', describe: 'Name of a kind cluster (default: kind)' })
  .option('minikube', { type: 'string', describe: 'Name of a minikube profile (default: minikube)' })
  .option('push', { type: 'string', describe: 'Registry such as ghcr.io/me; needs skopeo or docker' })
  .option('rootfs', {
    type: 'string',
    describe: 'Folder for the unpacked contents: runtime, and one folder per program',
  })
  .option('tag', { type: 'string', default: project.version, describe: 'Tag of the images' })
  .example('$0 --kind', `then: ${CHART}`)
  .example('$0 --push ghcr.io/me', 'pushes ghcr.io/me/salespipeline/operator and so on')
  .example('$0 --archive images.out', 'then: docker load -i images.out/operator.tar, or ctr -n k8s.io images import …')
  .epilogue(
    'To push, log in first with skopeo login or docker login; this command does not read credentials.\n' +
      'SOURCE_DATE_EPOCH sets the creation time of the images, in seconds since 1970 (default: 0).\n' +
      'Exit code: 0 if all images are at the destination, 1 if not.',
  )
  .check(({ archive, kind, minikube, push, rootfs }) => {
    const given = [archive, kind, minikube, push, rootfs].filter(value => value !== undefined)
    if (given.length !== 1)
      throw new UsageError('Give exactly one destination: --archive, --kind, --minikube, --push or --rootfs', HELP)
    if ([archive, push, rootfs].includes(''))
      throw new UsageError('--archive and --rootfs need a folder, --push needs a registry', HELP)
    return true
  })

async function main(): Promise<number> {
  const { archive, rootfs, tag, ...target } = await strictly(commandLine, HELP).parseAsync()
  if (rootfs !== undefined) await writeFolders(resolve(rootfs))
  else if (archive !== undefined) await writeArchives(resolve(archive), tag)
  else await buildAndLoad(destinationOf(target), tag)
  return 0
}

async function writeArchives(into: string, tag: string): Promise<void> {
  mkdirSync(into, { recursive: true })
  for (const image of await build(into, tag)) writeLines(process.stdout, `${image.tag} → ${image.archive}`)
}

type Target = { kind: string | undefined; minikube: string | undefined; push: string | undefined }

function destinationOf({ kind: cluster, minikube: profile, push }: Target): Destination {
  if (cluster !== undefined) return kind(cluster || 'kind')
  if (profile !== undefined) return minikube(profile || 'minikube')
  return registry(push!)
}

async function buildAndLoad({ name, load, helm }: Destination, tag: string): Promise<void> {
  await inTemporaryFolder(async folder => {
    for (const image of await build(folder, tag)) {
      log(`${image.tag} → ${name} …`)
      await load(image)
    }
  })
  const setTag = tag === project.version ? [] : [`--set images.tag=${tag}`]
  writeLines(
    process.stdout,
    `Loaded all images into ${name}. Install the chart:\n  ${[CHART, ...helm, ...setTag].join(' ')}`,
  )
}

async function build(into: string, tag: string): Promise<Image[]> {
  log(`building ${names.length} images …`)
  return inTemporaryFolder(async work => {
    await writeFolders(work)
    const runtime = await packLayer(work, join(work, 'runtime'))
    const images: Image[] = []
    for (const program of PROGRAMS) {
      const image = { archive: join(into, `${program.name}.tar`), tag: `${imageOf(program.name)}:${tag}` }
      const own = await packLayer(work, join(work, program.name))
      writeArchive(image.archive, image.tag, [runtime, own], configOf(program, project))
      log(`built ${image.tag}, ${megabytes(statSync(image.archive).size)}`)
      images.push(image)
    }
    return images
  })
}

/** Writes the contents of the images: the runtime, and one folder per program. */
async function writeFolders(folder: string): Promise<void> {
  const runtime = await writeRuntime(join(folder, 'runtime'), line => log(`warning: ${line}`))
  for (const program of PROGRAMS) await writeProgram(join(folder, program.name), program, project, runtime)
}

async function inTemporaryFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'images-'))
  try {
    return await use(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

await runMain(main, { exitCodeOf: () => 1 })
