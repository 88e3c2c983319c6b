/**
 * Simulates what runs the workers of one pipeline: the controller that creates a pod from the Deployment's template, the kubelet
 * that reports its status, and the worker that serves /status. No sale ever arrives.
 */
import { createServer, type Server } from 'node:http'
import { WORKER_PORT } from '#pipeline/limits.ts'
import { idleReport } from '../support/idle-report.ts'
import type { Json, Kube } from '../support/kube.ts'
import { unique } from '../support/services.ts'

const PARTITIONS = [0, 1, 2]

export class SimulatedWorkers {
  readonly #kube: Kube
  readonly #namespace: string
  readonly #pipeline: string
  readonly #servers = new Map<string, Server>()
  #addresses = 0

  constructor(kube: Kube, namespace: string, pipeline: string) {
    this.#kube = kube
    this.#namespace = namespace
    this.#pipeline = pipeline
  }

  /** Creates a pod whose worker has claimed all partitions. Resolves with its name. */
  async start(): Promise<string> {
    const { name, ip } = await this.#create()
    const proof = { partitions: PARTITIONS, sinks: ['postgres'] }
    const report = () => ({
      ...idleReport(name, Date.now(), { topicPartitions: PARTITIONS.length, proof }),
      startedAt: Date.now() - 5000,
      partitions: PARTITIONS.map(partition => ({ partition, lag: 0, undecided: 0 })),
    })
    const server = createServer((_, response) => response.end(JSON.stringify(report())))
    await new Promise<void>(resolve => server.listen(WORKER_PORT, ip, resolve))
    this.#servers.set(name, server)
    await this.#report(name, { phase: 'Running', podIP: ip, podIPs: [{ ip }], conditions: [ready('True')] })
    return name
  }

  /** Creates a pod whose worker exits again and again with this line. Resolves with its name. */
  async startCrashing(line: object): Promise<string> {
    const { name } = await this.#create()
    const terminated = { exitCode: 1, reason: 'Error', message: JSON.stringify(line) }
    const container = { name: 'processor', image: 'processor:1', imageID: '', ready: false, restartCount: 3 }
    const state = { waiting: { reason: 'CrashLoopBackOff' } }
    const containerStatuses = [{ ...container, state, lastState: { terminated } }]
    await this.#report(name, { phase: 'Running', conditions: [ready('False')], containerStatuses })
    return name
  }

  async remove(name: string): Promise<void> {
    this.#servers.get(name)?.closeAllConnections()
    this.#servers.get(name)?.close()
    this.#servers.delete(name)
    await this.#kube.remove(`${this.#pods()}/${name}?gracePeriodSeconds=0`)
  }

  async close(): Promise<void> {
    for (const name of [...this.#servers.keys()]) await this.remove(name)
  }

  #pods(): string {
    return `/api/v1/namespaces/${this.#namespace}/pods`
  }

  async #create(): Promise<{ name: string; ip: string }> {
    const deployments = `/apis/apps/v1/namespaces/${this.#namespace}/deployments`
    const { template } = (await this.#kube.demand('GET', `${deployments}/${this.#pipeline}-processor`)).spec
    const name = `${this.#pipeline}-${unique('w').replaceAll('_', '-')}`
    const { labels, annotations } = template.metadata
    const pod: Json = { metadata: { name, labels, annotations }, spec: { ...template.spec, nodeName: 'node-1' } }
    await this.#kube.demand('POST', this.#pods(), pod)
    // Each pod has an address of its own, because workers listen on a fixed port.
    return { name, ip: `127.7.${process.pid % 250}.${++this.#addresses}` }
  }

  async #report(name: string, status: object): Promise<void> {
    await this.#kube.demand('PATCH', `${this.#pods()}/${name}/status`, { status }, 'application/merge-patch+json')
  }
}

const ready = (status: 'True' | 'False') => ({ type: 'Ready', status })
