/**
 * What befalls processes and nodes, which the API server cannot do: the program in NODE_TOOL does it (.ci/node; on kind
 * it would be docker kill and docker pause).
 */
import { execFileSync } from 'node:child_process'
import { describe } from 'vitest'
import { until } from '../support/until.ts'
import type { Shop } from './shop.ts'

export const NODE_TOOL = process.env.NODE_TOOL ?? ''

/** `describe` where there is such a tool, else a skipped one that says so. */
export const describeWithNodeTool = (name: string, tests: () => void) =>
  NODE_TOOL
    ? describe(name, tests)
    : describe.skip(`${name} (skipped: set NODE_TOOL, see test/cluster/nodes.ts)`, tests)

/** To the main process of the pod's only container. */
export const signalPod = (uid: string, signal: 'KILL' | 'STOP' | 'CONT') => tool('signal', uid, signal)
/** Kills the process of one worker, and proves it: its pod has another container then. */
export async function crashWorker(shop: Shop, pipeline: string, index: number): Promise<void> {
  const { metadata, status } = (await shop.pods(pipeline))[index]!
  signalPod(metadata.uid, 'KILL')
  const before = status.containerStatuses[0].containerID
  await until('the killed worker has a new container', async () => {
    const pod = await shop.json('get', `pod/${metadata.name}`)
    return pod.status.containerStatuses[0].containerID !== before
  })
}

/** Kubelet and container runtime die, containers go on. */
export const orphanNode = (node: string) => tool('orphan', node)
/** Everything on it dies. */
export const killNode = (node: string) => tool('dead', node)

function tool(...args: string[]): void {
  execFileSync(NODE_TOOL, args, { stdio: 'inherit' })
}
