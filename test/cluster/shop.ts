/** A namespace with Kafka and PostgreSQL and the pipelines in it, used through kubectl as a user does. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import { kubectl } from '#chaos/kubectl.ts'
import { type Verdict, verdictOf } from '#chaos/verdict.ts'
import type { Json } from '../support/kube.ts'
import { until } from '../support/until.ts'
import { installStores, SYSTEM } from './platform.ts'

const ROOT = join(import.meta.dirname, '../..')
const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
export const VERSION: string = version
export const VERIFIER = `salespipeline/verify:${version}`
export const MINUTES = 60_000
/** Settings of the load generator: the share of disordered, late, duplicate and malformed sales. */
export const MISHAPS = {
  disorder: { fraction: 0.1 },
  lateness: { fraction: 0.01 },
  duplicates: { fraction: 0.01 },
  malformed: { fraction: 0.005 },
}

/** Resolves with the name of the leading operator's pod. */
export const leader = () =>
  kubectl([...SYSTEM, 'get', 'lease/salespipeline-operator', '-o', 'jsonpath={.spec.holderIdentity}'])

export class Shop {
  readonly namespace: string
  constructor(name: string) {
    this.namespace = `${name}-${Date.now().toString(36)}`
  }

  readonly k = (...args: string[]): Promise<string> => kubectl(['-n', this.namespace, ...args])
  readonly json = async (...args: string[]): Promise<Json> => JSON.parse(await this.k(...args, '-o', 'json'))

  /** Creates the namespace, its servers and the topic `transactions`. */
  async open(): Promise<void> {
    await kubectl(['create', 'namespace', this.namespace])
    await installStores(this.namespace)
  }

  async close(): Promise<void> {
    await this.k('delete', 'salespipelines', '--all', '--cascade=foreground', '--timeout=90s')
    await this.leave()
  }

  async leave(): Promise<void> {
    await kubectl(['delete', 'namespace', this.namespace, '--wait=false'])
  }

  /** Applies the first example on this namespace's servers. With `rate` 0 it has no load generator. */
  async apply(name: string, { rate = 0, ...more }: { rate?: number; [field: string]: unknown } = {}): Promise<void> {
    const document = parse(readFileSync(join(ROOT, 'k8s/examples/ecommerce.yaml'), 'utf8'))
    document.metadata = { name, namespace: this.namespace }
    const { source, sinks } = document.spec
    document.spec = {
      ...document.spec,
      source: { bootstrapServers: source.bootstrapServers, topic: source.topic },
      sinks: { postgres: sinks.postgres },
      load: { ...document.spec.load, rate, onCluster: rate > 0, ...MISHAPS },
      workers: { replicas: 1 },
      ...more,
    }
    await kubectl(['apply', '-f', '-'], stringify(document))
  }

  async patch(name: string, spec: object): Promise<void> {
    await this.k('patch', `salespipeline/${name}`, '--type=merge', '-p', JSON.stringify({ spec }))
  }

  async status(name: string): Promise<Json> {
    return (await this.json('get', `salespipeline/${name}`)).status
  }

  async condition(name: string, type = 'Ready'): Promise<Json> {
    return (await this.status(name))?.conditions?.find((c: Json) => c.type === type)
  }

  /** Waits until its condition Ready has this reason. */
  ready(name: string, reason = 'Streaming'): Promise<Json> {
    const withReason = async () => {
      const condition = await this.condition(name)
      return condition?.reason === reason && condition
    }
    return until(`Ready of ${name} has reason ${reason}`, withReason, 3 * MINUTES)
  }

  /** Waits until its condition Ready is True and a result has reached every sink. */
  async delivers(name: string): Promise<void> {
    await this.ready(name)
    const hasResult = async () => (await this.status(name)).firstResultAt !== undefined
    await until(`a result of ${name} has reached every sink`, hasResult, 3 * MINUTES)
  }

  /** Waits until this number of workers is desired, exists and is ready. */
  async workers(name: string, count: number): Promise<void> {
    const isReached = async () => {
      const { workers } = await this.status(name)
      return workers.summary === `${count}/${count}` && workers.replicas === count
    }
    await until(`${count} workers of ${name}`, isReached, 3 * MINUTES)
  }

  /** Pods of its workers, the oldest first. */
  async pods(name: string, component = 'processor'): Promise<Json[]> {
    const labels = `app.kubernetes.io/instance=${name},app.kubernetes.io/component=${component}`
    const { items } = await this.json('get', 'pods', '-l', labels, '--sort-by=.metadata.creationTimestamp')
    return items
  }

  /** Stops the load of one pipeline, and waits until it and the readers have processed all sales. */
  async drain(producer: string, ...readers: string[]): Promise<void> {
    await this.patch(producer, { load: { onCluster: false } })
    await until('the load has stopped', async () => (await this.pods(producer, 'load')).length === 0, 2 * MINUTES)
    for (const name of [producer, ...readers])
      await until(`the lag of ${name} is 0`, async () => (await this.status(name)).lag === 0, 2 * MINUTES)
  }

  /** The operator's pods in this namespace. */
  async operators(): Promise<Json[]> {
    return (await this.json('get', 'pods', '-l', 'app.kubernetes.io/name=salespipeline-operator')).items
  }

  /** Sum of the committed offsets of all partitions. */
  async committed(name: string): Promise<number> {
    const schema = await this.#storedSchema(name)
    return Number(await this.#psql(`SELECT coalesce(sum(next_offset), 0) FROM ${schema}.progress`))
  }

  /** Returns the name of the schema that a new pipeline gets. */
  schema(name: string): string {
    const hash = createHash('sha256').update(`${this.namespace}/${name}`).digest('hex').slice(0, 8)
    return `${this.#formerSchema(name)}_${hash}`
  }

  #formerSchema(name: string): string {
    return `${this.namespace}_${name}`.replaceAll('-', '_')
  }

  /** The pipeline may come from a release that gave the schema a name without a hash. */
  #storedSchema(name: string): Promise<string> {
    const names = [this.#formerSchema(name), this.schema(name)].map(schema => `'${schema}'`)
    return this.#psql(`SELECT nspname FROM pg_namespace WHERE nspname IN (${names.join()})`)
  }

  async #psql(query: string): Promise<string> {
    const output = await this.k('exec', 'postgres-0', '--', 'psql', '-U', 'postgres', '-d', 'sales', '-Atc', query)
    return output.trim()
  }

  /** Runs the verifier as a Job, as `npm run chaos` does. */
  async verdict(name: string): Promise<Verdict> {
    const document = await this.json('get', `salespipeline/${name}`)
    const settings = { namespace: this.namespace, image: VERIFIER, drained: true, withinMs: 5 * MINUTES }
    return verdictOf(document, settings)
  }
}
