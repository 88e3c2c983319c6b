/** Problems of pods, read from their status; messages name the pod and the container. */
import { byCause, type ConditionCode, type ReportedCode } from '#pipeline/conditions.ts'
import type { KubeObject } from '../kube/resources.ts'
import { causeOf, isOutOfMemory, type Terminated } from './crash.ts'
import { missingFile, missingVariable } from './missing-secret.ts'

export type Trouble = { reason: ConditionCode | ReportedCode; message: string }

type ContainerStatus = {
  name: string
  image: string
  ready: boolean
  restartCount: number
  state?: {
    waiting?: { reason?: string; message?: string }
    running?: { startedAt?: string | null }
    terminated?: Terminated
  }
  lastState?: { terminated?: Terminated }
}
type PodCondition = { type: string; status: string; reason?: string; message?: string }
export type PodStatus = {
  phase?: string
  podIP?: string
  conditions?: PodCondition[]
  containerStatuses?: ContainerStatus[]
}
type PodSpec = { containers?: { name: string; resources?: { limits?: { memory?: string } } }[] }

const IMAGE = new Set([
  'ErrImagePull',
  'ImagePullBackOff',
  'InvalidImageName',
  'ErrImageNeverPull',
  'ImageInspectError',
])
/** One crash may be chance, such as a node's kill; a second one before the container is ready is a lasting problem. */
const LASTING_CRASHES = 2

export const podStatus = (pod: KubeObject) => (pod.status ?? {}) as PodStatus

export function isReady(pod: KubeObject): boolean {
  const ready = podStatus(pod).conditions?.some(({ type, status }) => type === 'Ready' && status === 'True')
  return ready === true && pod.metadata.deletionTimestamp === undefined
}

/** The problem of each pod; empty while all are well or starting. */
export function troublesOf(pods: KubeObject[]): Trouble[] {
  return pods.flatMap(pod => (pod.metadata.deletionTimestamp ? [] : troublesOfPod(pod).slice(0, 1)))
}

/** The root cause among the problems of the pods; null while all are well or starting. */
export const troubleOf = (pods: KubeObject[]): Trouble | null => byCause(troublesOf(pods))[0] ?? null

/** The root cause comes first. */
function troublesOfPod(pod: KubeObject): Trouble[] {
  const { conditions = [], containerStatuses = [] } = podStatus(pod)
  const { name } = pod.metadata
  const scheduled = conditions.find(({ type }) => type === 'PodScheduled')
  if (scheduled?.status === 'False') {
    const message = `pod ${name} cannot be scheduled: ${scheduled.message ?? scheduled.reason}`
    return [{ reason: 'PodUnschedulable', message }]
  }
  return byCause(containerStatuses.flatMap(container => troubleOfContainer(pod, container) ?? []))
}

function troubleOfContainer(pod: KubeObject, container: ContainerStatus): Trouble | null {
  const { waiting } = container.state ?? {}
  const where = `pod ${pod.metadata.name}, container ${container.name}`
  if (waiting?.reason && IMAGE.has(waiting.reason))
    return {
      reason: 'ImageCannotBePulled',
      message: `${where}: cannot pull image ${container.image}: ${waiting.message ?? waiting.reason}`,
    }
  if (waiting?.reason === 'CreateContainerConfigError') {
    const missing = missingVariable(pod, waiting.message ?? '')
    if (missing) return { reason: 'SecretMissing', message: `${where}: ${missing}` }
    return { reason: 'ContainerConfigInvalid', message: `${where} cannot be created: ${waiting.message}` }
  }
  return troubleOfCrash(where, pod, container)
}

function troubleOfCrash(where: string, pod: KubeObject, container: ContainerStatus): Trouble | null {
  const { name, ready, restartCount: restarts, state, lastState } = container
  const ended = state?.terminated ?? lastState?.terminated
  if (ready || !ended || ended.exitCode === 0) return null
  const missing = missingFile(pod, name, ended.message ?? '')
  if (missing) return { reason: 'SecretMissing', message: `${where}: ${missing}` }
  if (restarts < LASTING_CRASHES && !isOutOfMemory(ended)) return null
  const { containers = [] } = (pod.spec ?? {}) as PodSpec
  const memoryLimit = containers.find(other => other.name === name)?.resources?.limits?.memory
  const { reason, text } = causeOf({ name, restarts, ended, memoryLimit })
  return { reason, message: `${where} ${text}` }
}
