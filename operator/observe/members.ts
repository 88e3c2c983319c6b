/**
 * Members of a pipeline's consumer group whose process is known to be gone: the API server says so within a second or
 * two, the broker notices after the session time-out. Another worker is asked to remove them, and their partitions move.
 */
import type { KubeObject } from '../kube/resources.ts'
import { statusOf } from './pods.ts'
import type { WorkerReport } from './report.ts'

/** A worker's process as it was last heard. */
export type Seen = { pod: string; uid: string; member: string; startedAt: number }

/** What the reports say of who is who in the group; a worker that is in no group yet is left out. */
export function seenIn(pods: KubeObject[], reports: WorkerReport[]): Seen[] {
  return reports.flatMap(({ pod, member, startedAt }) => {
    const uid = pods.find(({ metadata }) => metadata.name === pod)?.metadata.uid
    return member === null || uid === undefined ? [] : [{ pod, uid, member, startedAt }]
  })
}

/** Those whose pod is no more, or whose container has ended since. */
export function deadOf(seen: Seen[], pods: KubeObject[]): Seen[] {
  const byUid = new Map(pods.map(pod => [pod.metadata.uid, pod]))
  return seen.filter(({ uid, startedAt }) => {
    const pod = byUid.get(uid)
    return pod === undefined || hasEnded(pod, startedAt)
  })
}

/**
 * The API server's times are whole seconds, rounded down. A container that began after the process did is another one;
 * one that ended after the process began was its own. So a process that lives is never taken for dead, and one that
 * lived for less than a second is left to the broker.
 */
function hasEnded(pod: KubeObject, startedAt: number): boolean {
  return (statusOf(pod).containerStatuses ?? []).some(({ state, lastState }) => {
    const ends = [state?.terminated?.finishedAt, lastState?.terminated?.finishedAt]
    const isOver = ends.some(end => end != null && Date.parse(end) >= startedAt)
    return isOver || (state?.running?.startedAt != null && Date.parse(state.running.startedAt) > startedAt)
  })
}
