/** What a running system does, kept while it does it: its connections, and its pods, which come and go. */

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
  #told = ''

  private constructor(recording: Awaited<ReturnType<typeof recordFlows>>) {
    this.#recording = recording
    // Every state of every pod, however short its life: by a process of its own, since helm keeps this one waiting.
    this.#watch = spawn('kubectl', ['get', 'pods', '-A', '--watch', '-o', 'json'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    this.#watch.stdout!.setEncoding('utf8').on('data', data => (this.#told += data))
  }

  /** NODE_TOOL records (nodes.ts). */
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
    const pods = podsIn(this.#told)
    return { flows: named(flowsIn(raw), pods, addressesIn(raw)), pods, policies, namespaces }
  }
}

/** The last state of each that had an address, as it was while it ran. */
function podsIn(told: string): Pod[] {
  const states = told.split(/(?<=^\}\n)/m).flatMap(text => (text.endsWith('}\n') ? [JSON.parse(text)] : []))
  const withAddress = states.filter(({ status }) => status.podIP !== undefined)
  return [...new Map(withAddress.map(pod => [pod.metadata.uid, pod])).values()].map(pod => ({
    ...pod,
    status: { ...pod.status, phase: 'Running' },
  }))
}
