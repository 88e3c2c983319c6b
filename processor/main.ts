/**
 * The worker, and the removal of what it stored: reads its environment, wires the ports to their adapters, handles
 * signals. Nothing else does.
 */
import { createHash } from 'node:crypto'
import { readTextFile } from '#common/files.ts'
import { kafkaConnection } from '#common/kafka-connection.ts'
import { reportUsage } from '#common/parent.ts'
import { runMain } from '#common/run-main.ts'
import { chance, clock } from '#common/world.ts'
import { compileSpec } from '#pipeline/compiled-spec.ts'
import { pipelineKey } from '#pipeline/identity.ts'
import { WORKER_EXIT_MS } from '#pipeline/limits.ts'
import { parsePipeline } from '#pipeline/parse.ts'
import type { SalesPipeline } from '#pipeline/schema.ts'
import { type Member, startHttp } from './adapters/http.ts'
import { KAFKA_TIMEOUTS } from './adapters/kafka/connection.ts'
import { decompress } from './adapters/kafka/decompress.ts'
import { KafkaMembership } from './adapters/kafka/membership.ts'
import { KafkaSource } from './adapters/kafka/source.ts'
import { openPostgresRemoval, openPostgresStore } from './adapters/postgres/open.ts'
import { reportBusy } from './adapters/telemetry/busy.ts'
import { createTelemetry, type WorkerTelemetry } from './adapters/telemetry/telemetry.ts'
import { startTracing } from './adapters/telemetry/tracing.ts'
import { Fatal } from './errors.ts'
import { Flow } from './flow.ts'
import { retrying } from './retrying.ts'
import { readSettings, type Settings } from './settings.ts'

/** What a worker cannot commit within this after SIGTERM is read again by its successor. */
const DRAIN_MS = WORKER_EXIT_MS - 1000
const EXPELLED =
  'the operator found this worker dead and had it removed from the consumer group. It exits, and restarts if its pod still exists'

async function main(): Promise<number> {
  const settings = readSettings(process.argv.slice(2), process.env)
  const pipeline = parsePipeline(readTextFile(settings.file), settings.file)
  const compiled = compileSpec(pipeline.spec)
  const tracing = await startTracing({ compiled, worker: settings.workerId, env: process.env })
  const telemetry = createTelemetry({
    pipeline: pipelineKey(pipeline),
    worker: settings.workerId,
    compiled,
    clock,
    logLevel: settings.logLevel,
    commitLog: settings.commitLog,
    tracing,
  })
  telemetry.setReady(false, 'Starting')
  const group: { member: Member | null } = { member: null }
  const { httpPort: port, httpHost: host } = settings
  const http = await startHttp({ port, host, telemetry, member: () => group.member })
  process.send?.({ type: 'listening', port: http.port })
  try {
    if (settings.command === 'remove') return (await remove(pipeline, telemetry)) ? 0 : 1
    await work(pipeline, settings, telemetry, group)
    return 0
  } catch (error) {
    telemetry.setLive(false, (error as Error).message)
    // The operator reads the code from the pod's last words.
    const code = error instanceof Fatal ? { code: error.code } : {}
    telemetry.log('error', 'the worker stops', { error: (error as Error).message, ...code })
    return 1
  } finally {
    await http.close()
    await telemetry.close()
  }
}

async function work(
  pipeline: SalesPipeline,
  settings: Settings,
  telemetry: WorkerTelemetry,
  group: { member: Member | null },
): Promise<void> {
  const { spec, metadata } = pipeline
  const compiled = compileSpec(spec)
  const connection = kafkaConnection(spec.source, settings.workerId, process.env, KAFKA_TIMEOUTS)
  const source = new KafkaSource(connection, spec.source.topic)
  const store = openPostgresStore(pipeline, settings.workerId, process.env)
  const membership = new KafkaMembership({
    connection,
    groupId: `salespipeline.${metadata.namespace}.${metadata.name}`,
    topic: spec.source.topic,
    sessionTimeoutMs: settings.sessionTimeoutMs,
    onTrouble: message => telemetry.log('warn', message),
    // A broker that was away renames members, too: only what stands in the store says that it was meant.
    onRenamed: before => void stopIfExpelled(before),
  })
  group.member = {
    describe: () => membership.describe(),
    async expel(member) {
      await store.expel(member)
      return membership.expel(member)
    },
  }
  const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
  const flow = new Flow({
    compiled,
    source,
    membership,
    store,
    clock,
    chance,
    telemetry: readyOnceAssigned(telemetry),
    decompress,
    sha256,
  })

  const stopping = new AbortController()
  const stopIfExpelled = async (member: string) => {
    const waits = { clock, chance, telemetry, signal: stopping.signal }
    const isExpelled = await retrying(waits, 'StoreUnavailable', () => store.isExpelled(member)).catch(() => false)
    if (isExpelled) flow.stop(new Fatal('RemovedFromGroup', EXPELLED))
  }
  onStopSignal(() => {
    telemetry.setReady(false, 'Stopping')
    stopping.abort()
    flow.drain(DRAIN_MS)
  })
  reportBusy(settings.cpuMillis, telemetry.busy, stopping.signal)
  const projecting = project(pipeline, telemetry, store, stopping.signal)
  // What it cannot retry ends the worker, whose restart is seen: one that went on without projecting would look well.
  projecting.catch(() => flow.drain(DRAIN_MS))
  try {
    await flow.run()
  } finally {
    stopping.abort()
    await projecting
    await Promise.allSettled([source.close(), store.close()])
  }
}

/** The client of Elasticsearch takes a while to load: only where it is used. */
async function project(
  pipeline: SalesPipeline,
  telemetry: WorkerTelemetry,
  outbox: ReturnType<typeof openPostgresStore>,
  signal: AbortSignal,
): Promise<void> {
  if (!pipeline.spec.sinks.elasticsearch) return
  const [{ runProjector }, { openElasticsearchSink }] = await Promise.all([
    import('./projector.ts'),
    import('./adapters/elasticsearch/open.ts'),
  ])
  const sink = openElasticsearchSink(pipeline, process.env, telemetry.log)
  try {
    await runProjector({ outbox, sink, clock, chance, telemetry, signal })
  } finally {
    await sink.close()
  }
}

/** False when it was stopped before all was gone. */
async function remove(pipeline: SalesPipeline, telemetry: WorkerTelemetry): Promise<boolean> {
  const [{ removeResults }, { openElasticsearchRemoval }] = await Promise.all([
    import('./removal.ts'),
    import('./adapters/elasticsearch/open.ts'),
  ])
  const rows = openPostgresRemoval(pipeline, process.env)
  const projected = pipeline.spec.sinks.elasticsearch && openElasticsearchRemoval(pipeline, process.env)
  const documents = projected?.stored ?? []
  const stopping = new AbortController()
  onStopSignal(() => stopping.abort())
  telemetry.setReady(true)
  try {
    return await removeResults({ rows, documents, clock, chance, telemetry, signal: stopping.signal })
  } finally {
    await Promise.allSettled([rows.close(), projected?.close()])
  }
}

/** Ready once the group gave us our share: before that a rollout must not go on. */
function readyOnceAssigned(telemetry: WorkerTelemetry): WorkerTelemetry {
  return {
    ...telemetry,
    rebalanced(assigned) {
      telemetry.setReady(true)
      telemetry.rebalanced(assigned)
    },
  }
}

/** SIGTERM, Ctrl-C, or the death of the parent that started us over IPC. */
function onStopSignal(stop: () => void): void {
  let stopped = false
  const once = () => {
    if (stopped) return
    stopped = true
    setTimeout(() => process.exit(1), WORKER_EXIT_MS).unref()
    stop()
  }
  for (const signal of ['SIGTERM', 'SIGINT', 'disconnect'] as const) process.on(signal, once)
}

await runMain(main, { beforeExit: reportUsage })
