/** What a running system does, kept while it does it: its connections, and its pods, which come and go. */

import type { Namespace, NetworkPolicy, Pod } from '../support/network-policy.ts'
import { addressesIn, type Flow, flowsIn, named, recordFlows } from './flows.ts'
import { kubectl } from './kubectl.ts'

/** A pod that lived for less is not known; its connections are then from an address that nobody has. */
const LOOK_EVERY_MS = 500

type List<T> = { items: T[] }
const list = async <T>(kind: string): Promise<T[]> =>
  (JSON.parse(await kubectl(['get', kind, '-A', '-o', 'json'])) as List<T>).items

export type Seen = { flows: Flow[]; pods: Pod[]; policies: NetworkPolicy[]; namespaces: Namespace[] }

export class Witness {
  readonly #pods = new Map<string, Pod>()
  readonly #recording: Awaited<ReturnType<typeof recordFlows>>
  readonly #looking: Promise<void>
  #isOn = true

  private constructor(recording: Awaited<ReturnType<typeof recordFlows>>) {
    this.#recording = recording
    this.#looking = this.#look()
  }

  /** NODE_TOOL records (nodes.ts). */
  static async begin(tool: string): Promise<Witness> {
    return new Witness(await recordFlows(tool, ['flows']))
  }

  /** Ends it. An address may have been given to one pod after another: the later one counts. */
  async end(): Promise<Seen> {
    const [policies, namespaces] = await Promise.all([
      list<NetworkPolicy>('networkpolicies'),
      list<Namespace>('namespaces'),
    ])
    const raw = await this.#recording.stop()
    this.#isOn = false
    await this.#looking
    const pods = [...this.#pods.values()]
    return { flows: named(flowsIn(raw), pods, addressesIn(raw)), pods, policies, namespaces }
  }

  async #look(): Promise<void> {
    while (this.#isOn) {
      for (const pod of await list<Pod & { metadata: { uid: string } }>('pods'))
        if (pod.status.podIP) this.#pods.set(pod.metadata.uid, { ...pod, status: { ...pod.status, phase: 'Running' } })
      await new Promise(resolve => setTimeout(resolve, LOOK_EVERY_MS))
    }
  }
}
