/** The worker processes and their status. */
import { join, resolve } from 'node:path'
import type { Snapshot } from '#processor/adapters/telemetry/snapshot.ts'
import { WORKER_ENVIRONMENT, WORKER_FLAGS } from '#processor/flags.ts'
import { type ChildEvents, SupervisedChild } from './children.ts'
import type { DataFolder } from './folder.ts'
import { RateMeter } from './rate.ts'
import type { WorkerRow } from './view.ts'

const SCRIPT = resolve(import.meta.dirname, '../../processor/main.ts')
const STATUS_MS = 1000
/** Shorter than the default 6 s, which our broker allows, so that partitions of a killed worker move soon. */
const LOCAL_SESSION_MS = 3000

type Worker = { child: SupervisedChild; port: number | null; rate: RateMeter; status: Snapshot | null }

export type WorkerSettings = {
  count: number
  folder: DataFolder
  /** Variables with PostgreSQL's user and password. */
  env: NodeJS.ProcessEnv
  /** True if Kafka is ours as well. */
  local: boolean
}

export class Workers {
  readonly #workers: Worker[]

  constructor(
    { count, folder, env, local }: WorkerSettings,
    eventsOf: (name: string) => Omit<ChildEvents, 'onMessage'>,
  ) {
    this.#workers = Array.from({ length: count }, (_, i) => {
      const name = `worker-${i + 1}`
      const spec = {
        name,
        script: SCRIPT,
        args: () => ['--file', folder.document],
        nodeFlags: WORKER_FLAGS,
        env: () => ({
          ...env,
          ...WORKER_ENVIRONMENT,
          WORKER_ID: name,
          HTTP_HOST: '127.0.0.1',
          HTTP_PORT: '0',
          // A new file for each start: a line that a kill cut short must not corrupt the next one.
          COMMIT_LOG: join(folder.commits, `${Date.now()}-${name}.jsonl`),
          ...(local ? { SESSION_TIMEOUT_MS: String(LOCAL_SESSION_MS) } : {}),
        }),
        logFile: join(folder.logs, `${name}.log`),
      }
      const worker: Worker = {
        child: new SupervisedChild(spec, { ...eventsOf(name), onMessage }),
        port: null,
        rate: new RateMeter(),
        status: null,
      }
      function onMessage(message: Parameters<ChildEvents['onMessage']>[0]): void {
        if (message.type === 'listening') worker.port = message.port
      }
      return worker
    })
  }

  start(): void {
    for (const { child } of this.#workers) child.start()
  }

  /** Resolves when all have committed what they had read and have exited. */
  async stop(): Promise<void> {
    await Promise.all(this.#workers.map(({ child }) => child.stop()))
  }

  kill(): void {
    for (const { child } of this.#workers) child.kill()
  }

  get children(): SupervisedChild[] {
    return this.#workers.map(({ child }) => child)
  }

  /** Returns the newest status of each worker that runs. */
  statuses(): Snapshot[] {
    return this.#workers.flatMap(({ child, status }) => (child.state === 'running' && status ? [status] : []))
  }

  /** Fetches the status of each worker. */
  async poll(now: number): Promise<WorkerRow[]> {
    return Promise.all(
      this.#workers.map(async worker => {
        worker.status = worker.child.state === 'running' ? await fetchStatus(worker.port) : null
        return rowOf(worker, now)
      }),
    )
  }
}

function rowOf({ child, port, rate, status }: Worker, now: number): WorkerRow {
  const { state, restarts } = child
  return {
    name: child.spec.name,
    state,
    partitions: status?.assigned ?? 0,
    rate: rate.at(now, status?.counters.records ?? 0),
    busy: status?.busy ?? 0,
    restarts,
    reasons: reasonsOf(child, status),
    metrics: `http://127.0.0.1:${port}/metrics`,
  }
}

/** Returns why a worker is not ready. One that exits again and again is starting most of the time, so its exit is named. */
export function reasonsOf(
  { state, restarts, exitReason }: Pick<SupervisedChild, 'state' | 'restarts' | 'exitReason'>,
  status: Pick<Snapshot, 'health'> | null,
): string[] {
  if (state === 'restarting') return [exitReason]
  if (state !== 'running' && state !== 'starting') return []
  const now = state === 'running' ? (status?.health.reasons ?? ['no response']) : []
  const isStarting = state === 'starting' || now.length > 0
  return restarts > 0 && isStarting ? [...now, `before: ${exitReason}`] : now
}

/** Resolves with null when the worker does not respond, for example because it is exiting. */
async function fetchStatus(port: number | null): Promise<Snapshot | null> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/status`, { signal: AbortSignal.timeout(STATUS_MS) })
    return (await response.json()) as Snapshot
  } catch {
    return null
  }
}
