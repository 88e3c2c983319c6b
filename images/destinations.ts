/** Where images go once they are built, each by the tool that knows the way. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { UsageError, UserError } from '#pipeline/user-error.ts'

export type Image = { archive: string; tag: string }
export type Destination = {
  name: string
  load(image: Image): Promise<void>
  /** What helm must be told to find them there. */
  helm: string[]
}

export const HELP = 'npm run images -- --help'
const ELSE = 'or write the images to files with --archive DIR and load them by other means'
/** Lines of a tool that failed which are shown. */
const LAST_WORDS = 20

export function kind(cluster: string): Destination {
  demand('kind', `https://kind.sigs.k8s.io/docs/user/quick-start, or brew install kind; ${ELSE}`)
  return {
    name: `kind cluster ${cluster}`,
    load: ({ archive }) => run('kind', ['load', 'image-archive', archive, '--name', cluster]),
    helm: [`--kube-context kind-${cluster}`],
  }
}

export function minikube(profile: string): Destination {
  demand('minikube', `https://minikube.sigs.k8s.io/docs/start, or brew install minikube; ${ELSE}`)
  return {
    name: `minikube profile ${profile}`,
    load: ({ archive }) => run('minikube', ['--profile', profile, 'image', 'load', archive]),
    helm: [`--kube-context ${profile}`],
  }
}

/** skopeo needs no daemon: it goes first. */
export function registry(name: string): Destination {
  const address = name.replace(/\/+$/, '')
  if (!address || address.includes('://'))
    throw new UsageError(`--push needs what comes before an image's name, such as ghcr.io/me, not "${name}"`, HELP)
  if (!isThere('skopeo'))
    demand('docker', `--push needs skopeo or docker: apt-get install skopeo, or brew install skopeo; ${ELSE}`)
  const push = isThere('skopeo') ? pushBySkopeo : pushByDocker
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

/** Before anything is built. */
function demand(command: string, how: string): void {
  if (!isThere(command)) throw new UserError(`${command} is not on the path. ${how}`)
}

function isThere(command: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some(folder => existsSync(join(folder, command)))
}

/** What it says is shown when it fails. */
async function run(command: string, args: string[]): Promise<void> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', data => (said += data))
  const code = await new Promise((resolve, reject) => child.once('error', reject).once('close', resolve))
  if (code === 0) return
  const words = said.trimEnd().split('\n').slice(-LAST_WORDS).join('\n')
  throw new UserError(`${[command, ...args].join(' ')} failed:\n${words}`)
}
