/** Who is there: the pipeline, the pods of each kind, nodes, the operator that leads. Only reads. */
import { WORKER_PORT } from '#pipeline/limits.ts'
import type { Kind } from './fault-schedule.ts'
import { type Api, ApiError, ChaosError, type Json } from './kubectl.ts'

export type Pod = {
  namespace: string
  name: string
  uid: string
  node: string
  /** Of its metrics. */
  port: number
  /** By its phase. */
  running: boolean
  ready: boolean
  /** It is being deleted. */
  leaving: boolean
}

export type Pipeline = { document: Json; ready: boolean; says: string; workers: number }
export type PodKind = Exclude<Kind, 'node'>
/** Where pods of a kind are looked for: the first selector that finds some is theirs. `namespace` null: in all. */
export type Place = { namespace: string | null; selectors: string[] }

export const STORES = ['kafka', 'postgres', 'elasticsearch'] as const
const LEASE = 'salespipeline-operator'

export class Cluster {
  readonly #api: Api
  readonly #of: { namespace: string; pipeline: string }
  readonly #places: Record<PodKind, Place>
  constructor(api: Api, of: { namespace: string; pipeline: string }, places: Record<PodKind, Place>) {
    this.#api = api
    this.#of = of
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

  /** Throws a ChaosError that says where to look when there is none. */
  async pipeline(): Promise<Pipeline> {
    const { namespace, pipeline } = this.#of
    const path = `/apis/salespipeline.dev/v1alpha1/namespaces/${namespace}/salespipelines`
    try {
      return pipelineOf(await this.#api.json(`${path}/${pipeline}`))
    } catch (error) {
      if (!(error instanceof ApiError && error.code === 404)) throw error
      const { items } = await this.#api.json(path).catch(() => ({ items: null }))
      if (items === null) throw new ChaosError('this cluster knows no SalesPipelines: its CRD is not installed')
      const names = items.map(({ metadata }: Json) => metadata.name).join(', ') || 'none'
      throw new ChaosError(`there is no SalesPipeline ${pipeline} in namespace ${namespace}; there are: ${names}`)
    }
  }

  /** The operator's pod that holds the Lease; null while none does that is alive. */
  async leader(): Promise<Pod | null> {
    const pods = await this.pods('operator')
    for (const namespace of new Set(pods.map(pod => pod.namespace))) {
      const path = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/${LEASE}`
      const lease = await this.#api.json(path).catch(() => null)
      const holder = pods.find(pod => pod.namespace === namespace && pod.name === lease?.spec?.holderIdentity)
      if (holder && !holder.leaving) return holder
    }
    return null
  }

  async isNodeReady(node: string): Promise<boolean> {
    const { status } = await this.#api.json(`/api/v1/nodes/${node}`)
    return status.conditions?.some((c: Json) => c.type === 'Ready' && c.status === 'True') ?? false
  }

  /** Nodes that could take over from another. */
  async usableNodes(): Promise<string[]> {
    const { items } = await this.#api.json('/api/v1/nodes')
    const isReady = ({ status }: Json) =>
      status.conditions?.some((c: Json) => c.type === 'Ready' && c.status === 'True')
    return items
      .filter((node: Json) => isReady(node) && !node.spec.unschedulable)
      .map(({ metadata }: Json) => metadata.name)
  }

  /** Where a kind was looked for, for people. */
  describe(kind: PodKind): string {
    const { namespace, selectors } = this.#places[kind]
    const labels = selectors.map(selector => `"${selector}"`).join(' or ')
    return `${namespace === null ? 'any namespace' : `namespace ${namespace}`} with the labels ${labels}`
  }

  /** What a worker says at one of its paths. */
  ask({ namespace, name, port }: Pod, path: string, withinMs: number): Promise<string> {
    return this.#api.text(`/api/v1/namespaces/${namespace}/pods/${name}:${port}/proxy${path}`, withinMs)
  }
}

/** Pods that have ended, evicted ones among them, are kept for their logs only. */
const isAlive = ({ status }: Json) => !['Succeeded', 'Failed'].includes(status.phase)

const isHttp = ({ name }: { name?: string }) => name === 'http'

function podOf({ metadata, spec, status }: Json): Pod {
  return {
    ...{ namespace: metadata.namespace, name: metadata.name, uid: metadata.uid, node: spec.nodeName ?? '' },
    port: spec.containers.flatMap((c: Json) => c.ports ?? []).find(isHttp)?.containerPort ?? WORKER_PORT,
    running: status.phase === 'Running',
    ready: status.conditions?.some((c: Json) => c.type === 'Ready' && c.status === 'True') ?? false,
    leaving: metadata.deletionTimestamp !== undefined,
  }
}

function pipelineOf(document: Json): Pipeline {
  const ready = document.status?.conditions?.find((c: Json) => c.type === 'Ready')
  return {
    document,
    ready: ready?.status === 'True' && ready.observedGeneration === document.metadata.generation,
    says: ready ? `${ready.reason}: ${ready.message}` : 'no operator has looked at it yet',
    workers: document.status?.workers?.desired ?? 0,
  }
}
