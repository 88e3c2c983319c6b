/**
 * What befalls processes and nodes, which the API server cannot do: the program in NODE_TOOL does it (.ci/node; on kind
 * it would be docker kill and docker pause).
 */
import { execFileSync } from 'node:child_process'
import { describe } from 'vitest'

export const NODE_TOOL = process.env.NODE_TOOL ?? ''

/** `describe` where there is such a tool, else a skipped one that says so. */
export const describeWithNodeTool = (name: string, tests: () => void) =>
  NODE_TOOL
    ? describe(name, tests)
    : describe.skip(`${name} (skipped: set NODE_TOOL, see test/cluster/nodes.ts)`, tests)

/** To the main process of the pod's only container. */
export const signalPod = (uid: string, signal: 'KILL' | 'STOP' | 'CONT') => tool('signal', uid, signal)
/** Kubelet and container runtime die, containers go on. */
export const orphanNode = (node: string) => tool('orphan', node)
/** Everything on it dies. */
export const killNode = (node: string) => tool('dead', node)

function tool(...args: string[]): void {
  execFileSync(NODE_TOOL, args, { stdio: 'inherit' })
}
