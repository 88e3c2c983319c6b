/**
 * Dead members of a pipeline's consumer group: the API server reports the end of their process within a second or two,
 * the broker notices it only after the session time-out. Another worker removes them, and their partitions move.
 */
import type { Component } from '../desired/names.ts'
import type { KubeObject } from '../kube/resources.ts'
import { podStatus } from './pods.ts'
import type { WorkerReport } from './report.ts'

/** Containers that others inject, such as a service mesh's proxy, restart independently of the worker. */
const CONTAINER: Component = 'processor'

/** A worker's process by its last report. */
export type Member = { pod: string; uid: string; member: string; startedAt: number }

/** The group's members by the reports; a worker that has not joined the group yet is left out. */
export function membersOf(pods: KubeObject[], reports: WorkerReport[]): Member[] {
  return reports.flatMap(({ pod, member, startedAt }) => {
    const uid = pods.find(({ metadata }) => metadata.name === pod)?.metadata.uid
    return member === null || uid === undefined ? [] : [{ pod, uid, member, startedAt }]
  })
}

/** Members whose pod no longer exists, or whose container has ended since their report. */
export function deadMembers(members: Member[], pods: KubeObject[]): Member[] {
  const byUid = new Map(pods.map(pod => [pod.metadata.uid, pod]))
  return members.filter(({ uid, startedAt }) => {
    const pod = byUid.get(uid)
    return pod === undefined || hasEnded(pod, startedAt)
  })
}

/**
 * A container that ended after the process started was the process's own, because earlier containers ended before it
 * started. The API server rounds times down to whole seconds: a live process is never declared dead, and one that lived
 * for less than a second is left to the broker. The container's start time proves nothing: the process may be older.
 */
function hasEnded(pod: KubeObject, startedAt: number): boolean {
  const processor = podStatus(pod).containerStatuses?.find(({ name }) => name === CONTAINER)
  const ends = [processor?.state?.terminated?.finishedAt, processor?.lastState?.terminated?.finishedAt]
  return ends.some(end => end != null && Date.parse(end) >= startedAt)
}
