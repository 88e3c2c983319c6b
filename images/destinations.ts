/** The destinations of images, each with the tool that loads or pushes them. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { UsageError, UserError } from '#pipeline/user-error.ts'

export type Image = { archive: string; tag: string }
export type Destination = {
  name: string
  load(image: Image): Promise<void>
  /** Options with which helm finds the images there. */
  helm: string[]
}

export const HELP = 'npm run images -- --help'
const ALTERNATIVE = 'or use --archive DIR and load the files yourself'
/** Shown lines of the output of a failed tool. */
const SHOWN_LINES = 20

export function kind(cluster: string): Destination {
  requireTool(
    'kind',
    `Install it (https://kind.sigs.k8s.io/docs/user/quick-start, or brew install kind), ${ALTERNATIVE}`,
  )
  return {
    name: `kind cluster ${cluster}`,
    load: ({ archive }) => run('kind', ['load', 'image-archive', archive, '--name', cluster]),
    helm: [`--kube-context kind-${cluster}`],
  }
}

export function minikube(profile: string): Destination {
  requireTool(
    'minikube',
    `Install it (https://minikube.sigs.k8s.io/docs/start, or brew install minikube), ${ALTERNATIVE}`,
  )
  return {
    name: `minikube profile ${profile}`,
    load: ({ archive }) => run('minikube', ['--profile', profile, 'image', 'load', archive]),
    helm: [`--kube-context ${profile}`],
  }
}

/** Prefers skopeo, because it needs no daemon. Throws a UsageError for an invalid name, a UserError without a tool. */
export function registry(name: string): Destination {
  const address = name.replace(/\/+$/, '')
  if (!address || address.includes('://'))
    throw new UsageError(`--push needs a registry without a scheme, such as ghcr.io/me, not "${name}"`, HELP)
  if (!isOnPath('skopeo'))
    requireTool(
      'docker',
      `--push needs skopeo or docker. Install one (apt-get install skopeo, or brew install skopeo), ${ALTERNATIVE}`,
    )
  const push = isOnPath('skopeo') ? pushBySkopeo : pushByDocker
  return {
    name: `registry ${address}`,
    load: image => push(image, `${address}/${image.tag}`),
    helm: [`--set images.registry=${address}`],
  }
}

const pushBySkopeo = ({ archive }: Image, target: string) =>
  run('skopeo', ['copy', `docker-archive:${archive}`, `docker://${target}`])

async function pushByDocker({ archive, tag }: Image, target: string): Promise<void> {
  await run('docker', ['load', '--input', archive])
  await run('docker', ['tag', tag, target])
  await run('docker', ['push', target])
}

/** Throws a UserError if a tool is missing. Called before anything is built. */
function requireTool(command: string, advice: string): void {
  if (!isOnPath(command)) throw new UserError(`${command} is not on the PATH. ${advice}`)
}

function isOnPath(command: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some(folder => existsSync(join(folder, command)))
}

/** Runs a tool. Throws a UserError with the end of its output if it fails. */
async function run(command: string, args: string[]): Promise<void> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', data => (output += data))
  const code = await new Promise((resolve, reject) => child.once('error', reject).once('close', resolve))
  if (code === 0) return
  const lastLines = output.trimEnd().split('\n').slice(-SHOWN_LINES).join('\n')
  throw new UserError(`${[command, ...args].join(' ')} failed:\n${lastLines}`)
}
