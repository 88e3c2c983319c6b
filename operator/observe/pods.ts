/** What is wrong with pods, from their status alone: in words that name the pod, the container, and what to do. */
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
/** Of a log's last line. */
const MOST = 300
/** Once may be anything, a kill among them; again, while it is not ready, is something that stays. */
const CRASHES = 2

export const statusOf = (pod: KubeObject) => (pod.status ?? {}) as PodStatus

export function isReady(pod: KubeObject): boolean {
  const ready = statusOf(pod).conditions?.some(({ type, status }) => type === 'Ready' && status === 'True')
  return ready === true && pod.metadata.deletionTimestamp === undefined
}

/** The first thing that is wrong with any of them; null while all is well or merely starting. */
export function troubleOf(pods: KubeObject[]): Trouble | null {
  for (const pod of pods) {
    const trouble = pod.metadata.deletionTimestamp ? null : troubleOfPod(pod)
    if (trouble) return trouble
  }
  return null
}

function troubleOfPod(pod: KubeObject): Trouble | null {
  const { conditions = [], containerStatuses = [] } = statusOf(pod)
  const { name } = pod.metadata
  const scheduled = conditions.find(({ type }) => type === 'PodScheduled')
  if (scheduled?.status === 'False')
    return { reason: 'PodUnschedulable', message: `pod ${name} has no node: ${scheduled.message ?? scheduled.reason}` }
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
      message: `${where}: image ${container.image}: ${waiting.message ?? waiting.reason}`,
    }
  if (waiting?.reason === 'CreateContainerConfigError')
    return { reason: 'ContainerConfigInvalid', message: `${where}: ${waiting.message}` }
  const { exitCode = 0, message = '' } = container.lastState?.terminated ?? {}
  if (container.ready || container.restartCount < CRASHES || exitCode === 0) return null
  const { code = 'WorkerCrashLooping', text } = lastWords(message)
  return {
    reason: code,
    message: `${where} crashed ${container.restartCount} times, last with exit code ${exitCode}: ${text}`,
  }
}

/** The message of the last log line, which our programs write as JSON; `code`: the Fatal that ended it, if there was one. */
function lastWords(log: string): { code?: ReportedCode; text: string } {
  const line = log.trim().split('\n').at(-1)!
  try {
    const { msg, error, code } = JSON.parse(line) as { msg?: string; error?: string; code?: ReportedCode }
    const text = [msg, error].filter(part => part !== undefined).join(': ')
    return { text: text.slice(0, MOST), ...(code && { code }) }
  } catch {
    return { text: line.slice(0, MOST) }
  }
}
