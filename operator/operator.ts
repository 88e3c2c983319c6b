/** The whole operator: copies that follow the cluster, a queue of pipelines, and a leader that works on them. */
import type { KubeConfig } from '@kubernetes/client-node'
import { Applier } from './apply.ts'
import { Copies } from './copies.ts'
import { keyOfOwner } from './desired/names.ts'
import { Events } from './events.ts'
import { KubeClient } from './kube/client.ts'
import type { Chance, Clock, Log } from './ports.ts'
import { Reconciler } from './reconcile.ts'
import { LeaderElection } from './runtime/lease.ts'
import { WorkQueue } from './runtime/queue.ts'
import type { Settings } from './settings.ts'
import { createTelemetry, startHttp } from './telemetry.ts'

const LEASE_NAME = 'salespipeline-operator'

export type World = {
  clock: Clock
  chance: Chance
  log: Log
  /** See runtime/reflector.ts. */
  staleAfterMs?: number
}

/**
 * Runs until the signal aborts, or until the lease is lost: then it is better to start anew than to guess what was
 * under way. Answers which it was.
 */
export async function runOperator(
  config: KubeConfig,
  settings: Settings,
  { clock, chance, log, staleAfterMs }: World,
  signal: AbortSignal,
  started: (port: number) => void = () => {},
): Promise<'stopped' | 'lost'> {
  const telemetry = createTelemetry()
  const client = new KubeClient(config, (verb, resource) => telemetry.writes.inc({ verb, resource }))
  const queue = new WorkQueue(clock, chance)
  const copies = new Copies({
    ...{ client, clock, chance, log, ...(staleAfterMs && { staleAfterMs }) },
    enqueue: key => queue.add(key),
    onRestart: ({ kind }, why) => telemetry.restarts.inc({ kind, why }),
  })
  const events = new Events(client, clock, log)
  const applier = new Applier(
    client,
    (owner, message) => void events.tell(owner, 'Warning', 'FieldsTakenBack', message),
  )
  const reconciler = new Reconciler({
    ...{ client, copies, applier, events, clock, settings },
    told: telemetry.told,
    scaled: (_owner, from, to) => telemetry.scaled.inc({ direction: to > from ? 'up' : 'down' }),
    expelled(owner, pod) {
      telemetry.expelled.inc()
      log('info', `pod ${pod} is gone: its partitions move at once`, { pipeline: keyOfOwner(owner) })
    },
  })
  const health = { synced: false, heardAt: () => copies.heardAt }
  const http = await startHttp(settings.httpPort, telemetry, health, clock)
  started(http.port)

  const work = async (key: string, leading: AbortSignal) => {
    const end = telemetry.duration.startTimer()
    try {
      const again = await reconciler.reconcile(key, leading)
      telemetry.reconciles.inc({ outcome: 'done' })
      return again
    } finally {
      end()
      telemetry.queue.set(queue.depth)
      telemetry.pipelines.set(copies.pipelines.size)
    }
  }
  const failed = (key: string, error: unknown, retryInMs: number) => {
    telemetry.reconciles.inc({ outcome: 'failed' })
    log('warn', `pipeline ${key}: ${(error as Error).message}`, { retryInMs: Math.round(retryInMs) })
  }
  const stopping = new AbortController()
  const end = AbortSignal.any([signal, stopping.signal])
  const { promise: synced, resolve } = Promise.withResolvers<void>()
  end.addEventListener('abort', () => resolve(), { once: true })
  const following = copies.run(end, () => {
    health.synced = true
    log('info', 'the first lists are here', { pipelines: copies.pipelines.size })
    resolve()
  })
  // The cluster may have no CRD of ours yet, or no API server: that is told, and tried again by whoever restarts us.
  following.catch(error => {
    log('error', `cannot follow the cluster: ${error.message}`)
    stopping.abort()
  })
  try {
    await synced
    const election = new LeaderElection(
      client,
      { namespace: settings.namespace, name: LEASE_NAME, identity: settings.identity },
      { clock, chance, log },
    )
    await election.run(async leading => {
      telemetry.leading.set(1)
      // Whatever changed while another led is looked at again.
      for (const key of copies.pipelines.keys()) queue.add(key)
      await queue.run(settings.concurrency, key => work(key, leading), failed, leading)
      telemetry.leading.set(0)
    }, end)
    return signal.aborted ? 'stopped' : 'lost'
  } finally {
    stopping.abort()
    await following.catch(() => {})
    await http.close()
    client.close()
  }
}
