/** The whole operator: caches of the cluster's objects, a work queue of pipelines, and the leader that reconciles them. */
import type { KubeConfig } from '@kubernetes/client-node'
import { Applier } from './apply.ts'
import { Caches } from './caches.ts'
import { keyOfOwner } from './desired/names.ts'
import { Events } from './events.ts'
import { KubeClient } from './kube/client.ts'
import type { Chance, Clock, Log } from './ports.ts'
import { Reconciler } from './reconcile.ts'
import { Removals } from './removals.ts'
import { LEASE_NAME, LeaderElection } from './runtime/lease.ts'
import { WorkQueue } from './runtime/queue.ts'
import type { Settings } from './settings.ts'
import { createTelemetry, startHttp } from './telemetry.ts'

export type World = {
  clock: Clock
  chance: Chance
  log: Log
  /** See runtime/reflector.ts. */
  staleAfterMs?: number
}

/**
 * Runs until the signal aborts or the leader lease is lost, and resolves with which it was. After a lost lease the process
 * must restart: requests of the old leader may still be in flight.
 */
export async function runOperator(
  config: KubeConfig,
  settings: Settings,
  { clock, chance, log, staleAfterMs }: World,
  signal: AbortSignal,
  onListening: (port: number) => void = () => {},
): Promise<'stopped' | 'lost'> {
  const telemetry = createTelemetry()
  const client = new KubeClient(config, (verb, resource) => telemetry.writes.inc({ verb, resource }))
  const queue = new WorkQueue(clock, chance)
  const caches = new Caches({
    client,
    clock,
    chance,
    log,
    namespaces: settings.watchNamespaces,
    secrets: settings.allowed.envSecrets,
    ...(staleAfterMs && { staleAfterMs }),
    enqueue: key => queue.add(key),
    onRestart: ({ kind }, why) => telemetry.restarts.inc({ kind, why }),
  })
  const events = new Events(client, clock, log)
  const applier = new Applier(
    client,
    (owner, message) => void events.recordOnce(owner, 'Warning', 'FieldsTakenBack', message),
  )
  const health = {
    synced: false,
    lastContactAt: () => caches.lastContactAt,
    faults: () => caches.faults,
    refused: new Map<string, string>(),
  }
  const account = { namespace: settings.namespace, name: settings.account }
  const removals = new Removals({ client, clock, log, account })
  const reconciler = new Reconciler({
    client,
    caches,
    applier,
    events,
    clock,
    settings,
    removals,
    onStatus: telemetry.onStatus,
    onRefused(key, why) {
      if (why === null) health.refused.delete(key)
      else health.refused.set(key, why)
      telemetry.unwritten.set(health.refused.size)
    },
    onScaled: (_owner, from, to) => telemetry.scaled.inc({ direction: to > from ? 'up' : 'down' }),
    onExpelled(owner, pod) {
      telemetry.expelled.inc()
      log('info', 'removed dead worker from consumer group; Kafka assigns its partitions to other workers', {
        pipeline: keyOfOwner(owner),
        pod,
      })
    },
  })
  const http = await startHttp(settings, telemetry, health, clock)
  onListening(http.port)

  const reconcile = async (key: string, leading: AbortSignal) => {
    const end = telemetry.duration.startTimer()
    try {
      const requeueAfterMs = await reconciler.reconcile(key, leading)
      telemetry.reconciles.inc({ outcome: 'done' })
      return requeueAfterMs
    } finally {
      end()
      telemetry.queue.set(queue.depth)
      telemetry.pipelines.set(caches.pipelines.size)
    }
  }
  const onFailure = (key: string, error: unknown, retryInMs: number) => {
    telemetry.reconciles.inc({ outcome: 'failed' })
    log('warn', 'reconcile failed', {
      pipeline: key,
      error: (error as Error).message,
      retryInMs: Math.round(retryInMs),
    })
  }
  const stopping = new AbortController()
  const end = AbortSignal.any([signal, stopping.signal])
  const { promise: synced, resolve } = Promise.withResolvers<void>()
  end.addEventListener('abort', () => resolve(), { once: true })
  const watching = caches.run(end, () => {
    health.synced = true
    log('info', 'caches synced', { pipelines: caches.pipelines.size })
    resolve()
  })
  // Without our CRD or the API server we exit with the error, and Kubernetes restarts us.
  watching.catch(error => {
    log('error', 'cannot watch the cluster', { error: error.message })
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
      await removals.refresh(leading)
      // Pipelines may have changed while another replica led.
      const addAll = () => {
        for (const key of caches.pipelines.keys()) queue.add(key)
      }
      addAll()
      void removals.follow(addAll, leading)
      await queue.run(settings.concurrency, key => reconcile(key, leading), onFailure, leading)
      telemetry.leading.set(0)
    }, end)
    return signal.aborted ? 'stopped' : 'lost'
  } finally {
    stopping.abort()
    await watching.catch(() => {})
    await http.close()
    client.close()
  }
}
