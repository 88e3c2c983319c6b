/**
 * Faults of processes and nodes, which the API server cannot cause: the program in NODE_TOOL does (.ci/node, or
 * .github/kind-node on kind).
 */
import { execFileSync } from 'node:child_process'
import { describe } from 'vitest'
import { until } from '../support/until.ts'
import type { Shop } from './shop.ts'

export const NODE_TOOL = process.env.NODE_TOOL ?? ''

/** `describe` if NODE_TOOL is set, else a skipped one that says so. */
export const describeWithNodeTool = (name: string, tests: () => void) =>
  NODE_TOOL
    ? describe(name, tests)
    : describe.skip(`${name} (skipped: set NODE_TOOL, see test/cluster/nodes.ts)`, tests)

/** Sends a signal to the main process of the pod's only container. */
export const signalPod = (uid: string, signal: 'KILL' | 'STOP' | 'CONT') => tool('signal', uid, signal)

/** Kills the process of one worker, and waits until its pod has another container. */
export async function crashWorker(shop: Shop, pipeline: string, index: number): Promise<void> {
  const { metadata, status } = (await shop.pods(pipeline))[index]!
  signalPod(metadata.uid, 'KILL')
  const before = status.containerStatuses[0].containerID
  await until('the killed worker has a new container', async () => {
    const pod = await shop.json('get', `pod/${metadata.name}`)
    return pod.status.containerStatuses[0].containerID !== before
  })
}

/** Kills kubelet and container runtime; containers continue. */
export const orphanNode = (node: string) => tool('orphan', node)
/** Kills everything on the node. */
export const killNode = (node: string) => tool('dead', node)

function tool(...args: string[]): void {
  execFileSync(NODE_TOOL, args, { stdio: 'inherit' })
}
