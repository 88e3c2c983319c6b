/** What workers say of themselves at /status (processor/adapters/telemetry/snapshot.ts), as far as the operator reads it. */
import { z } from 'zod'

const delay = z.object({ p99: z.number() }).nullable()

const report = z.object({
  /** ms since the epoch, by the worker's clock. */
  at: z.number(),
  conditions: z.record(z.string(), z.string()),
  health: z.object({ ready: z.boolean() }),
  /** Totals since the worker started. */
  counters: z.object({ records: z.number(), commits: z.number(), projectedRows: z.number() }),
  partitions: z.array(z.object({ partition: z.number(), lag: z.number() })),
  /** ms since the epoch; null: not known. */
  watermark: z.number().nullable(),
  /** Seconds. */
  endToEndDelay: delay,
  projectionDelay: delay,
  /** 0 to 1. */
  busy: z.number(),
  projectionPending: z.number(),
})

export type WorkerReport = z.output<typeof report> & { pod: string }

/** A pod that does not answer within this says nothing this time. */
const TIMEOUT_MS = 2000

/** Null when the pod does not answer, or not as expected: then nothing is known of it. */
export async function askWorker(pod: { name: string; ip: string; port: number }): Promise<WorkerReport | null> {
  const host = pod.ip.includes(':') ? `[${pod.ip}]` : pod.ip
  try {
    const answer = await fetch(`http://${host}:${pod.port}/status`, { signal: AbortSignal.timeout(TIMEOUT_MS) })
    const parsed = report.safeParse(await answer.json())
    return parsed.success ? { ...parsed.data, pod: pod.name } : null
  } catch {
    return null
  }
}
