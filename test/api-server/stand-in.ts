/**
 * What a cluster has beside its API server, as far as chaos sees it: controllers that put pods in the place of others,
 * kubelets that end them, workers that answer. Everything goes through the real API server, its proxy to pods included.
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

/** The API server passes nothing on to a loopback address. */
const HOST = Object.values(networkInterfaces())
  .flatMap(list => list ?? [])
  .find(({ internal, address }) => !internal && isIPv4(address))!.address
const EVERY_MS = 100
const RATE = 5
const BOUNDS = [0.1, 1, 10]

type Wanted = {
  labels: Record<string, string>
  node: string
  /** Of a StatefulSet: the next pod has the same name. */
  stable: boolean
  partitions?: number[]
}
type Place = Wanted & { base: string; name: string; uid: string; server: Server | null }

const ready = (status: 'True' | 'False') => ({ conditions: [{ type: 'Ready', status }] })
const addressOf = (server: { address(): unknown }) => (server.address() as AddressInfo).port

export class StandIn {
  /** Nodes whose kubelet does nothing any more; pods on others end when they are told to. */
  readonly stubborn = new Set<string>()
  /** What the verifier's pod prints. */
  verdict = ''
  jobs: Json[] = []
  /** Since when nobody sells any more. */
  #soldOutAt: number | null = null
  readonly #kube: Kube
  readonly #namespace: string
  readonly #places: Place[] = []
  #kubelet: ReturnType<typeof createTlsServer> | null = null
  #isOn = true
  #working: Promise<void> | null = null

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
    // New nodes wait for a controller that nobody runs here.
    await this.patch(`/api/v1/nodes/${name}`, { spec: { taints: null } })
  }

  async want(base: string, wanted: Wanted): Promise<void> {
    const place: Place = { ...wanted, base, name: '', uid: '', server: null }
    this.#places.push(place)
    await this.#fill(place)
  }

  async #fill(place: Place): Promise<void> {
    const { base, stable, labels, node, partitions } = place
    place.server?.closeAllConnections()
    place.server?.close()
    place.name = stable ? base : `${base}-${unique('p').replaceAll('_', '-')}`
    place.server = partitions ? await this.#worker(place.name, partitions) : null
    const ports = place.server ? [{ name: 'http', containerPort: addressOf(place.server) }] : []
    const spec = { nodeName: node, containers: [{ name: 'main', image: 'none', ports }] }
    const pod = await this.#kube.demand('POST', this.#path('pods'), { metadata: { name: place.name, labels }, spec })
    place.uid = pod.metadata.uid
    const status = { phase: 'Running', podIP: HOST, podIPs: [{ ip: HOST }], ...ready('True') }
    await this.patch(`${this.#path('pods', place.name)}/status`, { status })
  }

  /** Commits the same number of records of each of its partitions all the time, each within a tenth of a second. */
  async #worker(pod: string, partitions: number[]): Promise<Server> {
    const startedAt = Date.now()
    const counts = () => Math.floor(Math.max(0, (this.#soldOutAt ?? Date.now()) - startedAt) / EVERY_MS) * RATE
    const lag = () => (this.#soldOutAt === null ? 3 : 0)
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
    const server = createServer(({ url }, answer) => {
      answer.end(
        url === '/metrics' ? metrics().join('\n') : JSON.stringify({ worker: pod, startedAt, topicPartitions: 4 }),
      )
    })
    await new Promise<void>(resolve => server.listen(0, HOST, resolve))
    return server
  }

  /** Answers for the logs of any container. */
  async kubelet(folder: string): Promise<void> {
    const [key, cert] = [join(folder, 'kubelet.key'), join(folder, 'kubelet.crt')]
    const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '1', '-subj', '/CN=kubelet']
    execFileSync('openssl', [...request, '-keyout', key, '-out', cert], { stdio: 'ignore' })
    const keys = { key: readFileSync(key), cert: readFileSync(cert) }
    this.#kubelet = createTlsServer(keys, (_, answer) => answer.end(this.verdict))
    await new Promise<void>(resolve => this.#kubelet!.listen(0, HOST, resolve))
  }

  /** Goes on until it is stopped. */
  work(): void {
    this.#working = (async () => {
      while (this.#isOn) {
        await this.#pods()
        await this.#lease()
        await this.#load()
        await this.#runJobs()
        await new Promise(resolve => setTimeout(resolve, EVERY_MS))
      }
    })()
  }

  async stop(): Promise<void> {
    this.#isOn = false
    await this.#working
    for (const { server } of this.#places) {
      server?.closeAllConnections()
      server?.close()
    }
    this.#kubelet?.close()
  }

  /** A node that is not ready lost its pods; those that are tainted out of service are let go at once. */
  async #pods(): Promise<void> {
    const [pods, nodes] = await Promise.all([this.#list('pods'), this.#kube.demand('GET', '/api/v1/nodes')])
    const lost = new Set<string>()
    const isOut = new Set<string>()
    for (const { metadata, spec, status } of nodes.items) {
      if (status.conditions.some((c: Json) => c.type === 'Ready' && c.status !== 'True')) lost.add(metadata.name)
      if (spec.taints?.some((t: Json) => t.key === 'node.kubernetes.io/out-of-service')) isOut.add(metadata.name)
    }
    for (const place of this.#places) {
      const pod = pods.find(({ metadata }) => metadata.uid === place.uid)
      if (lost.has(place.node) && pod && !pod.metadata.deletionTimestamp) await this.#giveUp(place)
      const ends = pod?.metadata.deletionTimestamp && !this.stubborn.has(place.base)
      if (ends && (!lost.has(place.node) || isOut.has(place.node))) await this.#end(place)
      else if (pod && (place.stable || !lost.has(place.node))) continue
      if (lost.has(place.node)) place.node = nodes.items.find((n: Json) => !lost.has(n.metadata.name)).metadata.name
      await this.#fill(place)
    }
  }

  async #giveUp({ name, server }: Place): Promise<void> {
    server?.closeAllConnections()
    server?.close()
    await this.patch(`${this.#path('pods', name)}/status`, { status: ready('False') })
    await this.#kube.demand('DELETE', this.#path('pods', name))
  }

  #end({ name }: Place): Promise<Json> {
    return this.#kube.demand('DELETE', `${this.#path('pods', name)}?gracePeriodSeconds=0`)
  }

  async #list(resource: string, group?: string): Promise<Json[]> {
    return (await this.#kube.demand('GET', this.#path(resource, '', group))).items
  }

  /** Held by an operator that is there. */
  async #lease(): Promise<void> {
    const operators = this.#places.filter(({ base }) => base === 'operator').map(({ name }) => name)
    const path = this.#path('leases', '', 'apis/coordination.k8s.io/v1')
    const lease = await this.#kube.find(`${path}/salespipeline-operator`)
    if (operators.includes(lease?.spec.holderIdentity)) return
    const spec = { holderIdentity: operators[0] }
    if (lease) await this.patch(`${path}/salespipeline-operator`, { spec })
    else await this.#kube.demand('POST', path, { metadata: { name: 'salespipeline-operator' }, spec })
  }

  /** The generator is there as long as the pipeline wants it. */
  async #load(): Promise<void> {
    const pipeline = await this.#kube.demand('GET', this.#kube.pipelinePath(this.#namespace, 'shop'))
    if (!pipeline.spec.load.onCluster) this.#soldOutAt ??= Date.now()
  }

  /** A Job's pod has run and told its verdict. */
  async #runJobs(): Promise<void> {
    for (const job of await this.#list('jobs', 'apis/batch/v1')) {
      if (this.jobs.some(({ metadata }) => metadata.uid === job.metadata.uid)) continue
      this.jobs.push(job)
      const { metadata, spec } = job.spec.template
      const name = job.metadata.name
      const nodeName = this.#places[0]!.node
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
