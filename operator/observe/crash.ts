/** Why a container of a pod ended: Kubernetes' own reason first, then the last line of the log. */
import type { ConditionCode, ReportedCode } from '#pipeline/conditions.ts'
import type { Component } from '../desired/names.ts'

export type Terminated = { exitCode: number; reason?: string; message?: string; finishedAt?: string | null }

export type Crash = {
  /** Name of the container. */
  name: string
  restarts: number
  ended: Terminated
  /** Its memory limit as the pod has it, such as 512Mi. */
  memoryLimit: string | undefined
}

type Cause = { reason: ConditionCode | ReportedCode; text: string }

/** Sections of the spec with the memory limits of our containers. */
const SECTIONS: Partial<Record<string, string>> = { processor: 'workers', ingest: 'ingest' } satisfies Partial<
  Record<Component, string>
>
/** 128 + SIGKILL: the kernel or the kubelet ended the process, so it could not log why. */
const KILLED = 137
/** Node prints this when V8 reaches its own limit, which follows from the container's. Then it aborts. */
const HEAP_LIMIT = 'JavaScript heap out of memory'
/** Characters of a container's last log line. */
const MAX_MESSAGE_LENGTH = 300
/** Levels of log lines that never show why a program exits. */
const HARMLESS = ['trace', 'debug', 'info', 'warn']

/** The container runtime reports this when the limit does not even suffice to start the process. */
const START_KILLED = 'OOM-killed'

const isKilledForMemory = ({ reason, message = '' }: Terminated) =>
  reason === 'OOMKilled' || (reason === 'StartError' && message.includes(START_KILLED))

/** One lack of memory is enough: the limit stays the same. */
export const isOutOfMemory = (ended: Terminated) =>
  isKilledForMemory(ended) || (ended.message ?? '').includes(HEAP_LIMIT)

export function causeOf(crash: Crash): Cause {
  const { restarts, ended } = crash
  if (isOutOfMemory(ended)) return { reason: 'WorkerOutOfMemory', text: outOfMemory(crash) }
  const crashed = `crashed ${restarts} times, last exit code ${ended.exitCode}`
  if (ended.exitCode === KILLED)
    return {
      reason: 'WorkerCrashLooping',
      text: `${crashed}: killed with SIGKILL, by the kubelet after a failed liveness probe or because the node lacked memory. The Events of the pod show which; if it was memory, raise ${memoryFields(crash)}`,
    }
  const { code = 'WorkerCrashLooping', text } = lastLogLine(ended.message ?? '')
  return { reason: code, text: `${crashed}: ${text}` }
}

function outOfMemory(crash: Crash): string {
  const { restarts, memoryLimit, ended } = crash
  const times = restarts === 1 ? '1 restart' : `${restarts} restarts`
  if (!isKilledForMemory(ended))
    return `ran out of memory (${times}): its JavaScript heap reached the limit that follows from the memory limit ${memoryLimit ?? 'of the node'}. Raise ${memoryFields(crash)}`
  return memoryLimit === undefined
    ? `was killed because its node had no memory left (OOMKilled, ${times}); the container has no memory limit. Set ${memoryFields(crash)}`
    : `was killed because it used more than its memory limit of ${memoryLimit} (OOMKilled, ${times}). Raise ${memoryFields(crash)}`
}

/** Other containers are the load generator, whose limit is fixed, and those that webhooks of the cluster add. */
const memoryFields = ({ name }: Crash) =>
  SECTIONS[name]
    ? `spec.${SECTIONS[name]}.resources.limits.memory and requests.memory`
    : `the memory limit of container ${name}`

/**
 * The message of the last log line, which our programs write as JSON; `code`: the Fatal that ended it, if there was one.
 * Conditions are logged with a code as well, as warnings: such a line was the last one by chance.
 */
function lastLogLine(log: string): { code?: ReportedCode; text: string } {
  const line = log.trim().split('\n').at(-1)!
  try {
    const { level, msg, error, code } = JSON.parse(line) as LogLine
    const text = [msg, error].filter(part => part !== undefined).join(': ')
    if (level !== undefined && HARMLESS.includes(level))
      return { text: `the log ends without an error; its last line is: ${text}`.slice(0, MAX_MESSAGE_LENGTH) }
    return { text: text.slice(0, MAX_MESSAGE_LENGTH), ...(code && { code }) }
  } catch {
    return { text: line.slice(0, MAX_MESSAGE_LENGTH) }
  }
}

type LogLine = { level?: string; msg?: string; error?: string; code?: ReportedCode }
