/** `npm run images -- --archive DIR`: the images of the processor, the producer and the operator, without Docker. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { writeArchive } from './archive.ts'
import { USER, writeProgram, writeRuntime } from './filesystem.ts'
import { PROGRAMS, type Program } from './programs.ts'

const HELP = `Builds the images of SalesPipeline: processor, producer and operator.

  npm run images -- --archive DIR [--tag TAG]

  --archive DIR   write DIR/processor.tar and so on, as docker save would: load them with docker load,
                  kind load image-archive, minikube image load, or ctr images import
  --tag TAG       of the images, salespipeline/processor:TAG and so on (default: the version of the project)
`
const REPOSITORY = 'salespipeline'

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { archive: { type: 'string' }, tag: { type: 'string' }, help: { type: 'boolean' } },
  })
  if (values.help || !values.archive) {
    process.stdout.write(HELP)
    process.exit(values.help ? 0 : 2)
  }
  const manifest = JSON.parse(readFileSync(resolve(import.meta.dirname, '../package.json'), 'utf8'))
  const into = resolve(values.archive)
  mkdirSync(into, { recursive: true })
  const work = mkdtempSync(join(tmpdir(), 'images-'))
  try {
    const runtime = join(work, 'runtime')
    writeRuntime(runtime)
    for (const program of PROGRAMS) {
      const tag = `${REPOSITORY}/${program.name}:${values.tag ?? manifest.version}`
      const layer = join(work, program.name)
      const bundle = await writeProgram(layer, program)
      await writeArchive(join(into, `${program.name}.tar`), tag, [runtime, layer], configOf(program, bundle, manifest))
      process.stdout.write(`${tag} → ${join(into, `${program.name}.tar`)}\n`)
    }
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

function configOf(
  { flags, env, title }: Program,
  bundle: string,
  { version, license }: { version: string; license: string },
) {
  const label = (name: string) => `org.opencontainers.image.${name}`
  return {
    Entrypoint: ['/usr/bin/node', ...flags, bundle],
    Env: Object.entries({ PATH: '/usr/bin', NODE_ENV: 'production', ...env }).map(
      ([name, value]) => `${name}=${value}`,
    ),
    User: `${USER}:${USER}`,
    WorkingDir: '/app',
    Labels: { [label('title')]: title, [label('version')]: version, [label('licenses')]: license },
  }
}

await main().catch(error => {
  process.stderr.write(`${(error as Error).message}\nSee --help.\n`)
  process.exit(1)
})
