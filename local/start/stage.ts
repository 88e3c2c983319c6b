/** Starts everything that a run needs, refreshes its view, and stops it again: first load, then workers, then servers. */
import { writeFileSync } from 'node:fs'
import { relative } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { kafkaConnection } from '#common/kafka-connection.ts'
import { type PostgresConnection, postgresConnection } from '#common/store-connections.ts'
import type { SalesPipeline } from '#pipeline/schema.ts'
import { KAFKA_TIMEOUTS } from '#processor/adapters/kafka/connection.ts'
import { addressesOf } from './addresses.ts'
import type { ChildEvents } from './children.ts'
import type { DataFolder } from './folder.ts'
import type { Interruption } from './interruption.ts'
import { LoadGenerator } from './load.ts'
import { type Observation, Observer } from './observer.ts'
import type { Options } from './options.ts'
import { type LocalEndpoints, resolvePipeline } from './resolve.ts'
import { Results } from './results.ts'
import type { Screen } from './screen.ts'
import { LocalServers } from './servers.ts'
import { Topic } from './topic.ts'
import { UsageMeter } from './usage.ts'
import { Workers } from './workers.ts'

const REFRESH_MS = 1000

export type Setting = { options: Options; text: string; folder: DataFolder; screen: Screen; interruption: Interruption }

/** What exists once everything has started. */
export type Running = {
  pipeline: SalesPipeline
  /** The resolved document, which workers and load generator run. */
  document: string
  postgres: PostgresConnection
  topic: Topic
  results: Results
  workers: Workers
  load: LoadGenerator | null
  observer: Observer
}

export class Stage {
  /** Shown in the view: starting, running, draining, stopping … */
  phase = 'starting'
  readonly meter = new UsageMeter()
  lastObservation: Observation | null = null
  /** Resolves once our Elasticsearch serves; at once if we run none. */
  elasticsearch: Promise<unknown> = Promise.resolve()
  readonly #setting: Setting
  readonly #startedAt = Date.now()
  readonly #viewEnd = new AbortController()
  readonly #env: NodeJS.ProcessEnv = {}
  #servers: LocalServers | null = null
  #running: Running | null = null
  #viewEnded: Promise<void> = Promise.resolve()

  constructor(setting: Setting) {
    this.#setting = setting
  }

  /** Starts servers, topic, database, workers and the live view. The load generator is only created. */
  async bringUp(): Promise<Running> {
    const { options, text, folder, screen, interruption } = this.#setting
    const endpoints = options.external ? null : await this.#startServers()
    const { pipeline, text: document, replacements } = resolvePipeline(text, options.file, endpoints, options.load)
    for (const line of replacements) screen.log(line)
    writeFileSync(folder.document, document)
    const env = { ...process.env, ...this.#env }
    const postgres = postgresConnection(pipeline.spec, env)
    const kafka = kafkaConnection(pipeline.spec.source, 'npm-start', env, KAFKA_TIMEOUTS)
    const topic = new Topic(kafka, pipeline.spec)
    await interruption.race(topic.ensure(endpoints ? 1 : -1, screen.log))
    const results = new Results(postgres, pipeline)
    const workers = this.#workers(pipeline)
    const load = options.sending ? new LoadGenerator(folder, options.forMs, this.#events('load')) : null
    const observer = new Observer({ results, topic, workers, load })
    this.#running = { pipeline, document, postgres, topic, results, workers, load, observer }
    workers.start()
    this.#viewEnded = this.#refreshUntilEnd(this.#running)
    return this.#running
  }

  async #startServers(): Promise<LocalEndpoints> {
    const { options, text, folder, screen, interruption } = this.#setting
    const { pipeline } = resolvePipeline(text, options.file, null, options.load)
    const { elasticsearch: search, postgres: database } = pipeline.spec.sinks
    screen.log(`starting Kafka, PostgreSQL${search ? ' and Elasticsearch' : ''}; data in ${relative('', folder.path)}`)
    this.#servers = new LocalServers(folder, options.ports, { log: screen.log, onLost: interruption.fail })
    const { endpoints, postgres, elasticsearch } = await interruption.race(this.#servers.start(search !== undefined))
    Object.assign(this.#env, { PGUSER: postgres.user, PGPASSWORD: postgres.password })
    await interruption.race(postgres.createDatabase(database.database))
    this.elasticsearch = elasticsearch
    return endpoints
  }

  #workers({ spec }: SalesPipeline): Workers {
    const { options, folder } = this.#setting
    const count = options.workers ?? Math.max(1, spec.workers.replicas)
    return new Workers({ count, folder, env: this.#env, local: !options.external }, name => this.#events(name))
  }

  #events(name: string): Omit<ChildEvents, 'onMessage'> {
    return { log: this.#setting.screen.log, onUsage: (pid, usage) => this.meter.record(name, pid, usage) }
  }

  async #refreshUntilEnd(running: Running): Promise<void> {
    const { signal } = this.#viewEnd
    while (!signal.aborted) {
      await this.#refresh(running)
      await sleep(REFRESH_MS, undefined, { signal }).catch(() => {})
    }
    await this.#refresh(running) // shows the final state
  }

  async #refresh({ observer, pipeline, postgres, results }: Running): Promise<void> {
    const { folder, screen } = this.#setting
    this.sampleUsage()
    const observation = await observer.observe()
    this.lastObservation = observation
    const addresses = addressesOf(pipeline, { connection: postgres, schema: results.schema }, this.#servers, folder)
    const elapsedMs = observation.now - this.#startedAt
    screen.show({ ...observation, name: pipeline.metadata.name, phase: this.phase, elapsedMs, addresses })
  }

  sampleUsage(): void {
    const children = [...(this.#running?.workers.children ?? []), this.#running?.load?.child].flatMap(child =>
      child?.pid ? [{ name: child.spec.name, pid: child.pid }] : [],
    )
    this.meter.sample([...children, ...(this.#servers?.processes() ?? [])])
  }

  /** Ends the live view: later output is plain lines. */
  async closeView(): Promise<void> {
    this.#viewEnd.abort()
    await this.#viewEnded
    this.#setting.screen.close()
  }

  async takeDown(): Promise<void> {
    const { log } = this.#setting.screen
    this.phase = 'stopping'
    await this.#running?.load?.child.stop()
    await this.#running?.workers.stop()
    await this.closeView()
    await Promise.allSettled([this.#running?.results.close(), this.#running?.topic.close()])
    if (this.#servers) log('stopping the servers …')
    await this.#servers?.stop()
  }

  /** Kills everything at once. The next run reads again what was not committed. */
  killHard(): void {
    this.#setting.screen.close()
    this.#running?.load?.child.kill()
    this.#running?.workers.kill()
    void this.#servers?.kill()
  }
}
