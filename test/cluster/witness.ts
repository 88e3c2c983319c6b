/** Records the connections and the pods of a running system, including pods that live only briefly. */

import { type ChildProcess, spawn } from 'node:child_process'
import { kubectl } from '#chaos/kubectl.ts'
import type { Namespace, NetworkPolicy, Pod } from '../support/network-policy.ts'
import { addressesIn, type Flow, flowsIn, named, recordFlows } from './flows.ts'

type List<T> = { items: T[] }
const list = async <T>(kind: string): Promise<T[]> =>
  (JSON.parse(await kubectl(['get', kind, '-A', '-o', 'json'])) as List<T>).items

export type Seen = { flows: Flow[]; pods: Pod[]; policies: NetworkPolicy[]; namespaces: Namespace[] }

export class Witness {
  readonly #recording: Awaited<ReturnType<typeof recordFlows>>
  readonly #watch: ChildProcess
  #output = ''

  private constructor(recording: Awaited<ReturnType<typeof recordFlows>>) {
    this.#recording = recording
    // Watches every state of every pod in a separate process, because helm blocks this one.
    this.#watch = spawn('kubectl', ['get', 'pods', '-A', '--watch', '-o', 'json'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    this.#watch.stdout!.setEncoding('utf8').on('data', data => (this.#output += data))
  }

  /** Starts recording. `tool`: NODE_TOOL, see nodes.ts. */
  static async begin(tool: string): Promise<Witness> {
    return new Witness(await recordFlows(tool, ['flows']))
  }

  async end(): Promise<Seen> {
    const [policies, namespaces] = await Promise.all([
      list<NetworkPolicy>('networkpolicies'),
      list<Namespace>('namespaces'),
    ])
    const raw = await this.#recording.stop()
    if (this.#watch.exitCode !== null) throw new Error('the watch of pods ended early')
    this.#watch.kill()
    const pods = podsIn(this.#output)
    return { flows: named(flowsIn(raw), pods, addressesIn(raw)), pods, policies, namespaces }
  }
}

/** Returns the last state of each pod that had an address, as if it were still running. */
function podsIn(output: string): Pod[] {
  const states = output.split(/(?<=^\}\n)/m).flatMap(text => (text.endsWith('}\n') ? [JSON.parse(text)] : []))
  const withAddress = states.filter(({ status }) => status.podIP !== undefined)
  return [...new Map(withAddress.map(pod => [pod.metadata.uid, pod])).values()].map(pod => ({
    ...pod,
    status: { ...pod.status, phase: 'Running' },
  }))
}
