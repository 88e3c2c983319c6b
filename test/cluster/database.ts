/** Reads the pipelines' PostgreSQL from outside the cluster: their rows, and how steadily their offsets advance. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import pg from 'pg'
import { installOperator } from './platform.ts'
import type { Shop } from './shop.ts'

/** Often enough to see a pause of a tenth of a second. */
const POLL_EVERY_MS = 25

export type Standstill = { what: string; longestMs: number }

export class Database {
  readonly #forward: ChildProcess
  readonly client: pg.Client
  private constructor(forward: ChildProcess, client: pg.Client) {
    this.#forward = forward
    this.client = client
  }

  /** Installs the operator, and creates the namespace and its servers. */
  static async open(shop: Shop): Promise<Database> {
    await installOperator()
    await shop.open()
    const forward = spawn('kubectl', ['-n', shop.namespace, 'port-forward', 'service/postgres', ':5432'])
    const port = await new Promise<number>((done, fail) => {
      createInterface(forward.stdout).on('line', line => {
        const found = /127\.0\.0\.1:(\d+)/.exec(line)
        if (found) done(Number(found[1]))
      })
      forward.once('exit', () => fail(new Error('kubectl port-forward ended')))
    })
    const { data } = await shop.json('get', 'secret/postgres')
    const [user, password] = [data.username, data.password].map(text => Buffer.from(text, 'base64').toString())
    const client = new pg.Client({ host: '127.0.0.1', port, user: user!, password: password!, database: 'sales' })
    await client.connect()
    return new Database(forward, client)
  }

  async close(): Promise<void> {
    await this.client.end()
    this.#forward.kill()
  }

  /** Rows of a table as text, without the columns that depend on when they were written. */
  async rows(table: string): Promise<string[]> {
    const timeColumns = `ARRAY['version','created_at','updated_at','reopened','final']`
    const { rows } = await this.client.query(
      `SELECT (to_jsonb(t) - ${timeColumns})::text AS row FROM ${table} t ORDER BY 1`,
    )
    return rows.map(({ row }) => row)
  }
}

/**
 * Measures the pauses that readers of the results see: while sales arrive steadily, the committed offset of each partition
 * advances steadily. It asks only the database, and does not depend on what workers report.
 */
export class Watch {
  readonly #client: pg.Client
  readonly #schema: string
  readonly #advances = new Map<number, number[]>()
  readonly standstills: Standstill[] = []
  #isRunning = true
  readonly #polling: Promise<void>

  constructor({ client }: Database, schema: string) {
    this.#client = client
    this.#schema = schema
    this.#polling = this.#poll()
  }

  /** Runs `work` and measures for another `afterMs`, because the effect may be delayed. */
  async during(what: string, work: () => Promise<unknown>, afterMs = 10_000): Promise<void> {
    const from = Date.now()
    await work()
    await new Promise(resolve => setTimeout(resolve, afterMs))
    const longestMs = Math.max(...[...this.#advances.values()].map(times => longestGap(times, from, Date.now())))
    this.standstills.push({ what, longestMs })
  }

  async stop(): Promise<void> {
    this.#isRunning = false
    await this.#polling
  }

  async #poll(): Promise<void> {
    const offsets = new Map<number, string>()
    while (this.#isRunning) {
      const { rows } = await this.#client.query(`SELECT partition, next_offset FROM ${this.#schema}.progress`)
      const at = Date.now()
      for (const { partition, next_offset } of rows) {
        if (offsets.get(partition) === next_offset) continue
        offsets.set(partition, next_offset)
        this.#advances.set(partition, [...(this.#advances.get(partition) ?? []), at])
      }
      await new Promise(resolve => setTimeout(resolve, POLL_EVERY_MS))
    }
  }
}

/** Longest ms between two advances; the time until `to` counts, too. */
function longestGap(times: number[], from: number, to: number): number {
  const before = times.filter(time => time <= from).at(-1) ?? from
  const within = [before, ...times.filter(time => time > from && time <= to), to]
  return Math.max(...within.slice(1).map((time, i) => time - within[i]!))
}

export function table(standstills: Standstill[]): string {
  const lines = standstills.map(({ what, longestMs }) => `| ${what} | ${(longestMs / 1000).toFixed(1)} |`)
  return ['| what | longest standstill of a partition, s |', '|---|---|', ...lines].join('\n')
}
