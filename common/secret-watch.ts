/**
 * Notices that the content of a mounted Secret differs from the value that the process got in its environment. Only the kubelet
 * reads Secrets, and only their content counts: a new label or annotation changes no file.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The operator sets it to the folder in which each file has the name and the value of a variable SECRET_<NAME>_<KEY>. */
export const SECRETS_DIR = 'SECRETS_DIR'

const CHECK_EVERY_MS = 2000
/** The kubelet updates files about once a minute, but a new container gets the newest values. Then the files are older. */
const FILES_OLDER_MS = 300_000

type Env = Record<string, string | undefined>

/** Returns a function that returns the variables whose files have another value and are newer than the process. */
export function secretWatch(env: Env, folder: string, now: () => number): () => string[] {
  const startedAt = now()
  const first = mountedSecrets(folder)
  return () => {
    const isOld = now() - startedAt > FILES_OLDER_MS
    const differing = [...mountedSecrets(folder)].filter(([name, value]) => env[name] !== value)
    return differing.filter(([name, value]) => isOld || first.get(name) !== value).map(([name]) => name)
  }
}

/** Calls `onChange` once, with the names of variables. Does nothing outside Kubernetes. */
export function onSecretChange(env: Env, onChange: (variables: string[]) => void): void {
  const folder = env[SECRETS_DIR]
  if (!folder) return
  const changed = secretWatch(env, folder, Date.now)
  const timer = setInterval(() => {
    const variables = changed()
    if (variables.length === 0) return
    clearInterval(timer)
    onChange(variables)
  }, CHECK_EVERY_MS)
  timer.unref()
}

/** Ends the process as SIGTERM does, so that Kubernetes starts it again with the new values. */
export function restartOnSecretChange(env: Env, log: (message: string, fields: Record<string, unknown>) => void): void {
  onSecretChange(env, variables => {
    log('secret changed; exiting to restart', { variables })
    process.kill(process.pid, 'SIGTERM')
  })
}

/** A Secret that was deleted has no files: the values in use stay. */
function mountedSecrets(folder: string): Map<string, string> {
  try {
    const names = readdirSync(folder).filter(name => !name.startsWith('.'))
    return new Map(names.map(name => [name, readFileSync(join(folder, name), 'utf8')]))
  } catch {
    return new Map()
  }
}
