/**
 * Members of a pipeline's consumer group whose process is known to be gone: the API server says so within a second or
 * two, the broker notices after the session time-out. Another worker is asked to remove them, and their partitions move.
 */
import type { Component } from '../desired/names.ts'
import type { KubeObject } from '../kube/resources.ts'
import { podStatus } from './pods.ts'
import type { WorkerReport } from './report.ts'

/** What others put beside it (a service mesh's proxy) comes and goes by itself. */
const CONTAINER: Component = 'processor'

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
 * A container that ended after the process began was its own: whoever came before ended earlier. The API server's times
 * are whole seconds, rounded down, so a process that lives is never taken for dead, and one that lived for less than a
 * second is left to the broker. When a container began says nothing: its process may have begun just before.
 */
function hasEnded(pod: KubeObject, startedAt: number): boolean {
  const processor = podStatus(pod).containerStatuses?.find(({ name }) => name === CONTAINER)
  const ends = [processor?.state?.terminated?.finishedAt, processor?.lastState?.terminated?.finishedAt]
  return ends.some(end => end != null && Date.parse(end) >= startedAt)
}
