/** Unpacks an image's archive and runs its programs as the image's user, with only the files of the image. */
import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { onTestFinished } from 'vitest'

type Config = { Entrypoint: string[]; Env: string[]; User: string; WorkingDir: string; Labels: Record<string, string> }
export type Unpacked = { root: string; tags: string[]; created: string; config: Config }

export function unpack(archive: string, into: string): Unpacked {
  const [files, root] = [join(into, basename(archive, '.tar')), join(into, `${basename(archive, '.tar')}-root`)]
  for (const folder of [files, root]) mkdirSync(folder, { recursive: true })
  execFileSync('tar', ['-C', files, '-xf', archive])
  const [manifest] = JSON.parse(readFileSync(join(files, 'manifest.json'), 'utf8'))
  for (const layer of manifest.Layers) execFileSync('tar', ['-C', root, '-xpf', join(files, layer)])
  const { created, config } = JSON.parse(readFileSync(join(files, manifest.Config), 'utf8'))
  return { root, tags: manifest.RepoTags, created, config }
}

export const environment = ({ Env }: Config): Record<string, string> =>
  Object.fromEntries(Env.map(variable => variable.split(/=(.*)/s)))

/** Returns the arguments of chroot for a program of this image. */
export const entering = ({ root, config }: Unpacked, args: string[], entrypoint = config.Entrypoint) => [
  `--userspec=${config.User}`,
  root,
  ...entrypoint,
  ...args,
]

/** Starts a program as process 1 of a PID namespace, as in a container. */
export function startAsFirst(
  image: Unpacked,
  { args, entrypoint = image.config.Entrypoint, env = {} }: { args: string[]; entrypoint?: string[]; env?: object },
) {
  const command = ['--pid', '--fork', '--mount-proc', '/usr/sbin/chroot', ...entering(image, args, entrypoint)]
  const child = spawn('unshare', command, { env: { ...environment(image.config), ...env } })
  // Process 1 of the namespace is the only child of unshare.
  const first = () => Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8'))
  onTestFinished(() => {
    if (child.exitCode === null) process.kill(first(), 'SIGKILL')
  })
  return {
    stdin: child.stdin,
    signal: (name: NodeJS.Signals) => process.kill(first(), name),
    /** Resolves when its output matches, on either stream. Rejects when it ends before that. */
    printed: (pattern: RegExp) =>
      new Promise<void>((resolve, reject) => {
        let output = ''
        child.once('close', () => reject(new Error(`the program ended; its output is\n${output}`)))
        for (const stream of [child.stdout, child.stderr])
          stream.on('data', data => pattern.test((output += data)) && resolve())
      }),
    ended: Promise.all([
      new Promise<number | null>(resolve => child.once('close', resolve)),
      text(child.stdout),
      text(child.stderr),
    ]).then(([code, stdout, stderr]) => ({ code, stdout, stderr })),
  }
}
