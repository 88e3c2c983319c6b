/** Problems of pods, read from their status; messages name the pod and the container. */
import type { ConditionCode, ReportedCode } from '#pipeline/conditions.ts'
import type { KubeObject } from '../kube/resources.ts'

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
type Terminated = { exitCode: number; reason?: string; message?: string; finishedAt?: string | null }
type PodCondition = { type: string; status: string; reason?: string; message?: string }
export type PodStatus = {
  phase?: string
  podIP?: string
  conditions?: PodCondition[]
  containerStatuses?: ContainerStatus[]
}

const IMAGE = new Set([
  'ErrImagePull',
  'ImagePullBackOff',
  'InvalidImageName',
  'ErrImageNeverPull',
  'ImageInspectError',
])
/** Characters of a container's last log line. */
const MAX_MESSAGE_LENGTH = 300
/** One crash may be chance, such as a node's kill; a second one before the container is ready is a lasting problem. */
const LASTING_CRASHES = 2

export const podStatus = (pod: KubeObject) => (pod.status ?? {}) as PodStatus

export function isReady(pod: KubeObject): boolean {
  const ready = podStatus(pod).conditions?.some(({ type, status }) => type === 'Ready' && status === 'True')
  return ready === true && pod.metadata.deletionTimestamp === undefined
}

/** The first problem of any pod; null while all are well or starting. */
export function troubleOf(pods: KubeObject[]): Trouble | null {
  for (const pod of pods) {
    const trouble = pod.metadata.deletionTimestamp ? null : troubleOfPod(pod)
    if (trouble) return trouble
  }
  return null
}

function troubleOfPod(pod: KubeObject): Trouble | null {
  const { conditions = [], containerStatuses = [] } = podStatus(pod)
  const { name } = pod.metadata
  const scheduled = conditions.find(({ type }) => type === 'PodScheduled')
  if (scheduled?.status === 'False')
    return {
      reason: 'PodUnschedulable',
      message: `pod ${name} cannot be scheduled: ${scheduled.message ?? scheduled.reason}`,
    }
  for (const container of containerStatuses) {
    const trouble = troubleOfContainer(name, container)
    if (trouble) return trouble
  }
  return null
}

function troubleOfContainer(pod: string, container: ContainerStatus): Trouble | null {
  const { waiting } = container.state ?? {}
  const where = `pod ${pod}, container ${container.name}`
  if (waiting?.reason && IMAGE.has(waiting.reason))
    return {
      reason: 'ImageCannotBePulled',
      message: `${where}: cannot pull image ${container.image}: ${waiting.message ?? waiting.reason}`,
    }
  if (waiting?.reason === 'CreateContainerConfigError')
    return { reason: 'ContainerConfigInvalid', message: `${where} cannot be created: ${waiting.message}` }
  const { exitCode = 0, message = '' } = container.lastState?.terminated ?? {}
  if (container.ready || container.restartCount < LASTING_CRASHES || exitCode === 0) return null
  const { code = 'WorkerCrashLooping', text } = lastLogLine(message)
  return {
    reason: code,
    message: `${where} crashed ${container.restartCount} times, last exit code ${exitCode}: ${text}`,
  }
}

/** The message of the last log line, which our programs write as JSON; `code`: the Fatal that ended it, if there was one. */
function lastLogLine(log: string): { code?: ReportedCode; text: string } {
  const line = log.trim().split('\n').at(-1)!
  try {
    const { msg, error, code } = JSON.parse(line) as { msg?: string; error?: string; code?: ReportedCode }
    const text = [msg, error].filter(part => part !== undefined).join(': ')
    return { text: text.slice(0, MAX_MESSAGE_LENGTH), ...(code && { code }) }
  } catch {
    return { text: line.slice(0, MAX_MESSAGE_LENGTH) }
  }
}
