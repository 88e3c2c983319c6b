/**
 * Whether a pipeline may use KafkaTopics of another namespace. Who may write SalesPipelines in one namespace must not be able
 * to create and delete topics in others through the operator, so the owner of the other namespace has to allow it.
 */
import { TOPICS_FROM } from '../desired/names.ts'
import type { OperatorSettings, Owner } from '../desired/observed.ts'
import { isKubeError, type KubeClient } from '../kube/client.ts'
import { NAMESPACE } from '../kube/resources.ts'
import type { Clock } from '../ports.ts'

/** Passes over all pipelines share one request per namespace and this time. */
const READ_AGAIN_MS = 10_000
const EVERY = '*'

export const namesIn = (text = ''): string[] =>
  text
    .split(',')
    .map(name => name.trim())
    .filter(name => name !== '')

export type GrantsDeps = { client: KubeClient; clock: Clock; settings: OperatorSettings }

export class TopicGrants {
  readonly #deps: GrantsDeps
  readonly #read = new Map<string, { at: number; granted: Promise<string[]> }>()

  constructor(deps: GrantsDeps) {
    this.#deps = deps
  }

  async allow(owner: Owner, namespace: string, signal: AbortSignal): Promise<boolean> {
    const { topicNamespaces } = this.#deps.settings
    if (namespace === owner.namespace || holds(topicNamespaces, namespace)) return true
    return holds(await this.#grantedBy(namespace, signal), owner.namespace)
  }

  #grantedBy(namespace: string, signal: AbortSignal): Promise<string[]> {
    const now = this.#deps.clock.now()
    const last = this.#read.get(namespace)
    if (last && now - last.at < READ_AGAIN_MS) return last.granted
    const granted = this.#fetch(namespace, signal)
    this.#read.set(namespace, { at: now, granted })
    granted.catch(() => this.#read.delete(namespace))
    return granted
  }

  /** A namespace that does not exist, or that the operator may not read, grants nothing. */
  async #fetch(name: string, signal: AbortSignal): Promise<string[]> {
    const namespace = await this.#deps.client.find(NAMESPACE, '', name, signal).catch(error => {
      if (isKubeError(error, 403)) return null
      throw error
    })
    return namesIn(namespace?.metadata.annotations?.[TOPICS_FROM])
  }
}

const holds = (names: string[], namespace: string) => names.includes(EVERY) || names.includes(namespace)
