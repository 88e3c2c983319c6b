/**
 * Simulates the parts of a cluster beside its API server, as far as chaos sees them: controllers that replace pods, kubelets
 * that terminate them, workers that serve metrics. All requests go through the real API server and its proxy to pods.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, isIPv4 } from 'node:net'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import type { Json, Kube } from '../support/kube.ts'
import { unique } from '../support/services.ts'

/** The API server does not proxy to loopback addresses. */
const HOST = Object.values(networkInterfaces())
  .flatMap(list => list ?? [])
  .find(({ internal, address }) => !internal && isIPv4(address))!.address
const EVERY_MS = 100
const RATE = 5
const BOUNDS = [0.1, 1, 10]

type PodOptions = {
  labels: Record<string, string>
  node: string
  /** True for a pod of a StatefulSet, whose replacement has the same name. */
  stable: boolean
  partitions?: number[]
}
type SimulatedPod = PodOptions & { base: string; name: string; uid: string; server: Server | null }

const ready = (status: 'True' | 'False') => ({ conditions: [{ type: 'Ready', status }] })
const addressOf = (server: { address(): unknown }) => (server.address() as AddressInfo).port

export class SimulatedCluster {
  /** Base names of pods that do not terminate when they are deleted. */
  readonly stubborn = new Set<string>()
  /** Output of the verifier's pod. */
  verdict = ''
  jobs: Json[] = []
  /** When the load stopped, ms since the epoch; null while it runs. */
  #loadStoppedAt: number | null = null
  readonly #kube: Kube
  readonly #namespace: string
  readonly #simulated: SimulatedPod[] = []
  #kubelet: ReturnType<typeof createTlsServer> | null = null
  #isRunning = true
  #loop: Promise<void> | null = null

  constructor(kube: Kube, namespace: string) {
    this.#kube = kube
    this.#namespace = namespace
  }

  #path(resource: string, name = '', group = 'api/v1'): string {
    return `/${group}/namespaces/${this.#namespace}/${resource}${name && `/${name}`}`
  }

  patch(path: string, body: object): Promise<Json> {
    return this.#kube.demand('PATCH', path, body, 'application/merge-patch+json')
  }

  async node(name: string): Promise<void> {
    await this.#kube.demand('POST', '/api/v1/nodes', { metadata: { name } })
    const addresses = [{ type: 'InternalIP', address: HOST }]
    const daemonEndpoints = { kubeletEndpoint: { Port: this.#kubelet ? addressOf(this.#kubelet) : 1 } }
    await this.patch(`/api/v1/nodes/${name}/status`, { status: { ...ready('True'), addresses, daemonEndpoints } })
    // New nodes have a taint that a controller removes; no controller runs here.
    await this.patch(`/api/v1/nodes/${name}`, { spec: { taints: null } })
  }

  async addPod(base: string, options: PodOptions): Promise<void> {
    const simulated: SimulatedPod = { ...options, base, name: '', uid: '', server: null }
    this.#simulated.push(simulated)
    await this.#createPod(simulated)
  }

  async #createPod(simulated: SimulatedPod): Promise<void> {
    const { base, stable, labels, node, partitions } = simulated
    simulated.server?.closeAllConnections()
    simulated.server?.close()
    simulated.name = stable ? base : `${base}-${unique('p').replaceAll('_', '-')}`
    simulated.server = partitions ? await this.#worker(simulated.name, partitions) : null
    const ports = simulated.server ? [{ name: 'http', containerPort: addressOf(simulated.server) }] : []
    const spec = { nodeName: node, containers: [{ name: 'main', image: 'none', ports }] }
    const pod = await this.#kube.demand('POST', this.#path('pods'), {
      metadata: { name: simulated.name, labels },
      spec,
    })
    simulated.uid = pod.metadata.uid
    const status = { phase: 'Running', podIP: HOST, podIPs: [{ ip: HOST }], ...ready('True') }
    await this.patch(`${this.#path('pods', simulated.name)}/status`, { status })
  }

  /** Serves the metrics of a worker that commits records of each partition at a constant rate, each within 0.1 s. */
  async #worker(pod: string, partitions: number[]): Promise<Server> {
    const startedAt = Date.now()
    const counts = () => Math.floor(Math.max(0, (this.#loadStoppedAt ?? Date.now()) - startedAt) / EVERY_MS) * RATE
    const lag = () => (this.#loadStoppedAt === null ? 3 : 0)
    const histogram = (name: string) => {
      const all = counts() * partitions.length
      return [...BOUNDS, '+Inf'].map(le => `${name}_bucket{le="${le}",pipeline="shop"} ${all}`)
    }
    const metrics = () => [
      ...partitions.map(p => `salespipeline_lag_records{partition="${p}",pipeline="shop"} ${lag()}`),
      ...partitions.map(p => `salespipeline_records_total{partition="${p}",pipeline="shop"} ${counts()}`),
      ...histogram('salespipeline_end_to_end_delay_seconds'),
      ...histogram('salespipeline_projection_delay_seconds'),
    ]
    const server = createServer(({ url }, response) => {
      response.end(
        url === '/metrics' ? metrics().join('\n') : JSON.stringify({ worker: pod, startedAt, topicPartitions: 4 }),
      )
    })
    await new Promise<void>(resolve => server.listen(0, HOST, resolve))
    return server
  }

  /** Serves the verifier's output as the log of every container. */
  async kubelet(folder: string): Promise<void> {
    const [key, cert] = [join(folder, 'kubelet.key'), join(folder, 'kubelet.crt')]
    const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '1', '-subj', '/CN=kubelet']
    execFileSync('openssl', [...request, '-keyout', key, '-out', cert], { stdio: 'ignore' })
    const keys = { key: readFileSync(key), cert: readFileSync(cert) }
    this.#kubelet = createTlsServer(keys, (_, response) => response.end(this.verdict))
    await new Promise<void>(resolve => this.#kubelet!.listen(0, HOST, resolve))
  }

  /** Runs until `stop`. */
  start(): void {
    this.#loop = (async () => {
      while (this.#isRunning) {
        await this.#pods()
        await this.#lease()
        await this.#load()
        await this.#runJobs()
        await new Promise(resolve => setTimeout(resolve, EVERY_MS))
      }
    })()
  }

  async stop(): Promise<void> {
    this.#isRunning = false
    await this.#loop
    for (const { server } of this.#simulated) {
      server?.closeAllConnections()
      server?.close()
    }
    this.#kubelet?.close()
  }

  /** Pods of a node that is not ready terminate only once the node has the out-of-service taint. */
  async #pods(): Promise<void> {
    const [pods, nodes] = await Promise.all([this.#list('pods'), this.#kube.demand('GET', '/api/v1/nodes')])
    const lost = new Set<string>()
    const outOfService = new Set<string>()
    for (const { metadata, spec, status } of nodes.items) {
      if (status.conditions.some((c: Json) => c.type === 'Ready' && c.status !== 'True')) lost.add(metadata.name)
      if (spec.taints?.some((t: Json) => t.key === 'node.kubernetes.io/out-of-service')) outOfService.add(metadata.name)
    }
    for (const simulated of this.#simulated) {
      const pod = pods.find(({ metadata }) => metadata.uid === simulated.uid)
      if (lost.has(simulated.node) && pod && !pod.metadata.deletionTimestamp) await this.#markLost(simulated)
      const isTerminating = pod?.metadata.deletionTimestamp && !this.stubborn.has(simulated.base)
      if (isTerminating && (!lost.has(simulated.node) || outOfService.has(simulated.node)))
        await this.#terminate(simulated)
      else if (pod && (simulated.stable || !lost.has(simulated.node))) continue
      if (lost.has(simulated.node))
        simulated.node = nodes.items.find((n: Json) => !lost.has(n.metadata.name)).metadata.name
      await this.#createPod(simulated)
    }
  }

  async #markLost({ name, server }: SimulatedPod): Promise<void> {
    server?.closeAllConnections()
    server?.close()
    await this.patch(`${this.#path('pods', name)}/status`, { status: ready('False') })
    await this.#kube.remove(this.#path('pods', name))
  }

  /** Chaos may have force-deleted the pod since it was listed. */
  #terminate({ name }: SimulatedPod): Promise<void> {
    return this.#kube.remove(`${this.#path('pods', name)}?gracePeriodSeconds=0`)
  }

  async #list(resource: string, group?: string): Promise<Json[]> {
    return (await this.#kube.demand('GET', this.#path(resource, '', group))).items
  }

  /** Gives the lease to an operator that exists. */
  async #lease(): Promise<void> {
    const operators = this.#simulated.filter(({ base }) => base === 'operator').map(({ name }) => name)
    const path = this.#path('leases', '', 'apis/coordination.k8s.io/v1')
    const lease = await this.#kube.find(`${path}/salespipeline-operator`)
    if (operators.includes(lease?.spec.holderIdentity)) return
    const spec = { holderIdentity: operators[0] }
    if (lease) await this.patch(`${path}/salespipeline-operator`, { spec })
    else await this.#kube.demand('POST', path, { metadata: { name: 'salespipeline-operator' }, spec })
  }

  /** Stops the load once the pipeline no longer asks for it. */
  async #load(): Promise<void> {
    const pipeline = await this.#kube.demand('GET', this.#kube.pipelinePath(this.#namespace, 'shop'))
    if (!pipeline.spec.load.onCluster) this.#loadStoppedAt ??= Date.now()
  }

  /** Completes each new Job, with a pod that has printed its verdict. */
  async #runJobs(): Promise<void> {
    for (const job of await this.#list('jobs', 'apis/batch/v1')) {
      if (this.jobs.some(({ metadata }) => metadata.uid === job.metadata.uid)) continue
      this.jobs.push(job)
      const { metadata, spec } = job.spec.template
      const name = job.metadata.name
      const nodeName = this.#simulated[0]!.node
      await this.#kube.demand('POST', this.#path('pods'), {
        metadata: { ...metadata, name },
        spec: { ...spec, nodeName },
      })
      const containerStatuses = [{ name: 'verify', ready: false, restartCount: 0, image: '', imageID: '' }]
      await this.patch(`${this.#path('pods', name)}/status`, { status: { phase: 'Succeeded', containerStatuses } })
      await this.patch(`${this.#path('jobs', name, 'apis/batch/v1')}/status`, { status: { succeeded: 1 } })
    }
  }
}
