/** What workers say of themselves at /status (processor/adapters/telemetry/snapshot.ts), as far as the operator reads it. */
import { z } from 'zod'

const delay = z.object({ p99: z.number() }).nullable()

const report = z.object({
  /** The name of its pod. */
  worker: z.string(),
  /** ms since the epoch, by the worker's clock. */
  at: z.number(),
  /** The same; when its process started. */
  startedAt: z.number(),
  /** Its name in the consumer group; null: it is in none yet. */
  member: z.string().nullable(),
  /** That it has seen in the topic; 0: none yet. */
  topicPartitions: z.number(),
  conditions: z.record(z.string(), z.string()),
  health: z.object({ ready: z.boolean() }),
  /** Totals since the worker started. */
  counters: z.object({ records: z.number(), busySeconds: z.number(), projectedRows: z.number() }),
  partitions: z.array(z.object({ partition: z.number(), lag: z.number() })),
  /** ms since the epoch; null: not known. */
  watermark: z.number().nullable(),
  /** Seconds. */
  endToEndDelay: delay,
  projectionDelay: delay,
  projectionPending: z.number(),
})

export type WorkerReport = Omit<z.output<typeof report>, 'worker'> & { pod: string }

/** A pod that does not answer within this says nothing this time. */
const TIMEOUT_MS = 2000

export type Address = { name: string; ip: string; port: number }

/** Null when the pod does not answer, or not as expected: then nothing is known of it. */
export async function askWorker(pod: Address): Promise<WorkerReport | null> {
  try {
    const answer = await request(pod, '/status')
    const { worker, ...told } = report.parse(await answer.json())
    // An address may be another pod's by now.
    return worker === pod.name ? { ...told, pod: worker } : null
  } catch {
    return null
  }
}

/** Has a worker remove a dead member from their group. `left`: it was in it no more. Null: not done, or no answer. */
export async function expelMember(by: Address, member: string): Promise<'removed' | 'left' | null> {
  try {
    const answer = await request(by, `/members/${encodeURIComponent(member)}`, 'DELETE')
    const { removed } = (await answer.json()) as { removed?: boolean }
    return answer.ok ? (removed ? 'removed' : 'left') : null
  } catch {
    return null
  }
}

function request({ ip, port }: Address, path: string, method = 'GET'): Promise<Response> {
  const host = ip.includes(':') ? `[${ip}]` : ip
  return fetch(`http://${host}:${port}${path}`, { method, signal: AbortSignal.timeout(TIMEOUT_MS) })
}
