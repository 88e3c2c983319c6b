/** Reads the cluster: the pipeline, the pods of each kind, nodes, and the leading operator. */
import { WORKER_PORT } from '#pipeline/limits.ts'
import type { Kind } from './fault-schedule.ts'
import { type Api, ApiError, ChaosError, type Json } from './kubectl.ts'

export type Pod = {
  namespace: string
  name: string
  uid: string
  node: string
  /** Port of its metrics. */
  port: number
  /** Its phase is Running. */
  running: boolean
  ready: boolean
  /** It is being deleted. */
  terminating: boolean
}

export type Pipeline = { document: Json; ready: boolean; message: string; workers: number }
export type PodKind = Exclude<Kind, 'node'>
/** Where to find the pods of a kind: the first selector that matches any. `namespace` null means all namespaces. */
export type Place = { namespace: string | null; selectors: string[] }

export const STORES = ['kafka', 'postgres', 'elasticsearch'] as const
const LEASE = 'salespipeline-operator'

export class Cluster {
  readonly #api: Api
  readonly #target: { namespace: string; pipeline: string }
  readonly #places: Record<PodKind, Place>
  constructor(api: Api, target: { namespace: string; pipeline: string }, places: Record<PodKind, Place>) {
    this.#api = api
    this.#target = target
    this.#places = places
  }

  async pods(kind: PodKind): Promise<Pod[]> {
    const { namespace, selectors } = this.#places[kind]
    const below = namespace === null ? '' : `namespaces/${namespace}/`
    for (const selector of selectors) {
      const path = `/api/v1/${below}pods?labelSelector=${encodeURIComponent(selector)}`
      const { items } = await this.#api.json(path)
      const pods: Pod[] = items.filter(isAlive).map(podOf)
      if (pods.length > 0) return pods
    }
    return []
  }

  /** Throws a ChaosError that names the existing pipelines if this one does not exist. */
  async pipeline(): Promise<Pipeline> {
    const { namespace, pipeline } = this.#target
    const path = `/apis/salespipeline.dev/v1alpha1/namespaces/${namespace}/salespipelines`
    try {
      return pipelineOf(await this.#api.json(`${path}/${pipeline}`))
    } catch (error) {
      if (!(error instanceof ApiError && error.code === 404)) throw error
      const { items } = await this.#api.json(path).catch(() => ({ items: null }))
      if (items === null)
        throw new ChaosError(
          'the SalesPipeline CRD is not installed in this cluster; install it, or choose another kubectl context',
        )
      const names = items.map(({ metadata }: Json) => metadata.name).join(', ') || 'none'
      throw new ChaosError(`no SalesPipeline ${pipeline} in namespace ${namespace}; existing ones: ${names}`)
    }
  }

  /** Returns the operator's pod that holds the Lease; null while no live pod holds it. */
  async leader(): Promise<Pod | null> {
    const pods = await this.pods('operator')
    for (const namespace of new Set(pods.map(pod => pod.namespace))) {
      const path = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/${LEASE}`
      const lease = await this.#api.json(path).catch(() => null)
      const holder = pods.find(pod => pod.namespace === namespace && pod.name === lease?.spec?.holderIdentity)
      if (holder && !holder.terminating) return holder
    }
    return null
  }

  async isNodeReady(node: string): Promise<boolean> {
    const { status } = await this.#api.json(`/api/v1/nodes/${node}`)
    return status.conditions?.some((c: Json) => c.type === 'Ready' && c.status === 'True') ?? false
  }

  /** Returns the nodes that are ready and schedulable. */
  async usableNodes(): Promise<string[]> {
    const { items } = await this.#api.json('/api/v1/nodes')
    const isReady = ({ status }: Json) =>
      status.conditions?.some((c: Json) => c.type === 'Ready' && c.status === 'True')
    return items
      .filter((node: Json) => isReady(node) && !node.spec.unschedulable)
      .map(({ metadata }: Json) => metadata.name)
  }

  /** Describes where the pods of a kind were searched, for messages. */
  describe(kind: PodKind): string {
    const { namespace, selectors } = this.#places[kind]
    const labels = selectors.map(selector => `"${selector}"`).join(' or ')
    return `${namespace === null ? 'any namespace' : `namespace ${namespace}`} with the labels ${labels}`
  }

  /** Fetches a path of a worker through the API server. Rejects if it does not respond within `withinMs`. */
  fetch({ namespace, name, port }: Pod, path: string, withinMs: number): Promise<string> {
    return this.#api.text(`/api/v1/namespaces/${namespace}/pods/${name}:${port}/proxy${path}`, withinMs)
  }
}

/** Finished and evicted pods are kept only for their logs. */
const isAlive = ({ status }: Json) => !['Succeeded', 'Failed'].includes(status.phase)

const isHttp = ({ name }: { name?: string }) => name === 'http'

function podOf({ metadata, spec, status }: Json): Pod {
  return {
    namespace: metadata.namespace,
    name: metadata.name,
    uid: metadata.uid,
    node: spec.nodeName ?? '',
    port: spec.containers.flatMap((c: Json) => c.ports ?? []).find(isHttp)?.containerPort ?? WORKER_PORT,
    running: status.phase === 'Running',
    ready: status.conditions?.some((c: Json) => c.type === 'Ready' && c.status === 'True') ?? false,
    terminating: metadata.deletionTimestamp !== undefined,
  }
}

function pipelineOf(document: Json): Pipeline {
  const ready = document.status?.conditions?.find((c: Json) => c.type === 'Ready')
  return {
    document,
    ready: ready?.status === 'True' && ready.observedGeneration === document.metadata.generation,
    message: ready
      ? `${ready.reason}: ${ready.message}`
      : 'the pipeline has no status yet; check that the operator is running',
    workers: document.status?.workers?.desired ?? 0,
  }
}
