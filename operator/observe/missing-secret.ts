/**
 * Secrets that pods lack. The operator may not read Secrets: the kubelet names those of variables in the status of the pod,
 * and a program that misses the file of one ends with a message that names the file. Pure.
 */
import { dirname } from 'node:path/posix'
import type { KubeObject } from '../kube/resources.ts'

/** The kubelet's words for variables. */
const NO_SECRET = /^secrets? "([^"]+)" not found/
const NO_KEY = /^couldn't find key (\S+) in Secret [^/\s]+\/(\S+)/
/** Our programs' words for files. */
const NO_FILE = /cannot read (\/\S+) \(ENOENT/

const ADVICE = 'correct the spec; the pod then starts automatically'

type Volume = { name: string; secret?: { secretName?: string; items?: { key: string }[] } }
type PodSpec = {
  containers?: { name: string; volumeMounts?: { name: string; mountPath: string }[] }[]
  volumes?: Volume[]
}

/** Returns what is missing if the kubelet does not create a container for that reason (`message`); otherwise null. */
export function missingVariable({ metadata }: KubeObject, message: string): string | null {
  const { namespace } = metadata
  const [, secret] = NO_SECRET.exec(message) ?? []
  if (secret) return `Secret ${secret} does not exist in namespace ${namespace}. Create it or ${ADVICE}`
  const [, key, holder] = NO_KEY.exec(message) ?? []
  return key ? `Secret ${holder} in namespace ${namespace} has no key ${key}. Add the key or ${ADVICE}` : null
}

/** Returns what is missing if a container ended for that reason; `message`: its last words. Otherwise null. */
export function missingFile(pod: KubeObject, container: string, message: string): string | null {
  const [, path] = NO_FILE.exec(message) ?? []
  if (!path) return null
  const { containers = [], volumes = [] } = (pod.spec ?? {}) as PodSpec
  const mounts = containers.find(({ name }) => name === container)?.volumeMounts ?? []
  const mount = mounts.find(({ mountPath }) => mountPath === dirname(path))
  const { secretName, items = [] } = volumes.find(({ name }) => name === mount?.name)?.secret ?? {}
  if (!secretName) return null
  const keys = items.map(({ key }) => key).join(', ')
  const { namespace } = pod.metadata
  return `Secret ${secretName} does not exist in namespace ${namespace}, or has no key ${keys}. Add the key or ${ADVICE}`
}
