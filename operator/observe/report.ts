/** The part of a worker's /status (processor/adapters/telemetry/snapshot.ts) that the operator reads. */
import { z } from 'zod'
import { MEMBERS_PORT } from '#pipeline/limits.ts'

const delay = z.object({ p99: z.number() }).nullable()

const report = z.object({
  /** Name of its pod. */
  worker: z.string(),
  /** ms since the epoch, by the worker's clock. */
  at: z.number(),
  /** ms since the epoch, by the worker's clock: when its process started. */
  startedAt: z.number(),
  /** Its member id in the consumer group; null before it joined. */
  member: z.string().nullable(),
  /** Partitions of the topic; 0 until the worker knows them. */
  topicPartitions: z.number(),
  conditions: z.record(z.string(), z.string()),
  /** What the worker has proven before a sale arrives; workers up to 0.3.0 prove nothing. */
  proof: z.object({ partitions: z.array(z.number()), sinks: z.array(z.string()) }).optional(),
  health: z.object({ ready: z.boolean() }),
  /** Totals since the worker started. */
  counters: z.object({ records: z.number(), busySeconds: z.number(), projectedRows: z.number() }),
  /** `undecided`: the part of the lag behind open transactions. The lag of workers up to 0.3.0 does not include it. */
  partitions: z.array(z.object({ partition: z.number(), lag: z.number(), undecided: z.number().optional() })),
  /** ms since the epoch; null when not known. */
  watermark: z.number().nullable(),
  /** Seconds. */
  endToEndDelay: delay,
  projectionDelay: delay,
  projectionPending: z.number(),
})

export type WorkerReport = Omit<z.output<typeof report>, 'worker'> & { pod: string }

/** A pod that does not respond in this time has no report in this pass. */
const TIMEOUT_MS = 2000

export type Address = { name: string; ip: string; port: number }

/** Resolves with null when the pod does not respond, or not as expected. */
export async function fetchStatus(pod: Address): Promise<WorkerReport | null> {
  try {
    const response = await request(pod, '/status')
    const { worker, ...rest } = report.parse(await response.json())
    // The address may belong to another pod by now.
    return worker === pod.name ? { ...rest, pod: worker } : null
  } catch {
    return null
  }
}

/** `left`: it was no longer a member. `refused`: workers do not accept the token. Null: the request failed. */
export type Expelled = 'removed' | 'left' | 'refused' | null

/** Asks a worker to remove a dead member from their group. */
export async function expelMember({ ip }: Address, member: string, token: string): Promise<Expelled> {
  try {
    const headers = { authorization: `Bearer ${token}` }
    const by = { ip, port: MEMBERS_PORT }
    const response = await request(by, `/members/${encodeURIComponent(member)}`, { method: 'DELETE', headers })
    const { removed } = (await response.json()) as { removed?: boolean }
    if (response.status === 401) return 'refused'
    if (response.ok && removed) return 'removed'
    return removed === false ? 'left' : null
  } catch {
    return null
  }
}

function request({ ip, port }: Omit<Address, 'name'>, path: string, init: RequestInit = {}): Promise<Response> {
  const host = ip.includes(':') ? `[${ip}]` : ip
  return fetch(`http://${host}:${port}${path}`, { ...init, redirect: 'error', signal: AbortSignal.timeout(TIMEOUT_MS) })
}
