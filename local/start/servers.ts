/** The local servers of a run: started together, restarted when they exit, stopped last. */
import { startElasticsearch } from '#local/services/elasticsearch.ts'
import { startKafka } from '#local/services/kafka.ts'
import { type PostgresServer, startPostgres } from '#local/services/postgres.ts'
import { stablePort } from '#local/services/process.ts'
import type { DataFolder } from './folder.ts'
import type { Options } from './options.ts'
import type { LocalEndpoints } from './resolve.ts'
import { type Hooks, type ServerState, SupervisedServer } from './supervised-server.ts'

type Name = 'kafka' | 'postgres' | 'elasticsearch'

export type Started = {
  endpoints: LocalEndpoints
  postgres: PostgresServer
  elasticsearch: Promise<unknown>
}

export class LocalServers {
  readonly #folder: DataFolder
  readonly #ports: Options['ports']
  readonly #hooks: Hooks
  readonly #servers = new Map<Name, SupervisedServer>()

  constructor(folder: DataFolder, ports: Options['ports'], hooks: Hooks) {
    this.#folder = folder
    this.#ports = ports
    this.#hooks = hooks
  }

  /**
   * Resolves once Kafka and PostgreSQL serve. `elasticsearch` resolves when Elasticsearch serves, which can be minutes
   * later on a busy machine; its address is known at once. Rejects with the last log lines of a server that does not start.
   */
  async start(withElasticsearch: boolean): Promise<Started> {
    const progress = (line: string) => this.#hooks.log(line)
    const options = (name: Name) => ({ dataDir: this.#folder[name], port: this.#ports[name], progress })
    const search = withElasticsearch ? await this.#startElasticsearch(options('elasticsearch')) : null
    const [{ bootstrap }, postgres] = await Promise.all([
      this.#supervise('kafka').start(onStarting => startKafka({ ...options('kafka'), onStarting })),
      this.#supervise('postgres').start(onStarting => startPostgres({ ...options('postgres'), onStarting })),
    ])
    const { host, port } = postgres
    return {
      endpoints: { kafka: bootstrap, postgres: { host, port }, elasticsearch: search?.url ?? '' },
      postgres,
      elasticsearch: search?.ready ?? Promise.resolve(),
    }
  }

  async #startElasticsearch(options: { dataDir: string; port: number | undefined; progress: (line: string) => void }) {
    const port = await stablePort(options.dataDir, 'elasticsearch', options.port)
    const ready = this.#supervise('elasticsearch').start(onStarting =>
      startElasticsearch({ ...options, port, onStarting }),
    )
    ready.catch(error => this.#hooks.onLost(error))
    return { url: `http://127.0.0.1:${port}`, ready }
  }

  state(name: Name): ServerState | undefined {
    return this.#servers.get(name)?.state
  }

  /** Returns the processes that run now. */
  processes(): { name: Name; pid: number }[] {
    return [...this.#servers].map(([name, { pid }]) => ({ name, pid })).filter(({ pid }) => pid > 0)
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#servers.values()].map(server => server.stop()))
  }

  async kill(): Promise<void> {
    await Promise.all([...this.#servers.values()].map(server => server.kill()))
  }

  #supervise(name: Name): SupervisedServer {
    const server = new SupervisedServer(this.#hooks)
    this.#servers.set(name, server)
    return server
  }
}
