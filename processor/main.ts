/**
 * Entry point of the worker, of `remove` and of `sinks`. Only this file reads the environment, wires the ports to their adapters
 * and handles signals.
 */
import { createHash } from 'node:crypto'
import { readTextFile } from '#common/files.ts'
import { kafkaConnection } from '#common/kafka-connection.ts'
import { reportUsage } from '#common/parent.ts'
import { runMain } from '#common/run-main.ts'
import { restartOnSecretChange } from '#common/secret-watch.ts'
import { chance, clock } from '#common/world.ts'
import { compileSpec } from '#pipeline/compiled-spec.ts'
import { keepFormerDefaults } from '#pipeline/former-defaults.ts'
import { pipelineKey } from '#pipeline/identity.ts'
import { WORKER_EXIT_MS } from '#pipeline/limits.ts'
import { parsePipeline } from '#pipeline/parse.ts'
import { keepRounding } from '#pipeline/rounding.ts'
import type { SalesPipeline } from '#pipeline/schema.ts'
import { adviceOnKubernetes } from '#pipeline/start-over.ts'
import { parseYaml, plainValue } from '#pipeline/yaml.ts'
import { startHttp } from './adapters/http.ts'
import { KAFKA_TIMEOUTS } from './adapters/kafka/connection.ts'
import { KafkaMembership } from './adapters/kafka/membership.ts'
import { KafkaSource } from './adapters/kafka/source.ts'
import { unpack } from './adapters/kafka/unpack.ts'
import { type Member, startMembersHttp } from './adapters/members-http.ts'
import { openPostgresRemoval, openPostgresStore, openStoredPipeline } from './adapters/postgres/open.ts'
import { reportBusy } from './adapters/telemetry/busy.ts'
import { createTelemetry, type WorkerTelemetry } from './adapters/telemetry/telemetry.ts'
import { startTracing } from './adapters/telemetry/tracing.ts'
import { logAdmission } from './admission-log.ts'
import { Fatal } from './errors.ts'
import { Flow } from './flow.ts'
import { refuseReservedColumns } from './reserved-columns.ts'
import { retrying } from './retrying.ts'
import { logRounding } from './rounding-log.ts'
import { readSettings, type Settings } from './settings.ts'
import { reportUnclearMeasures } from './unclear-measures.ts'
import { logWatermark } from './watermark-log.ts'

/** Time to commit after SIGTERM, ms. The next owner of a partition reads again what is not committed by then. */
const DRAIN_MS = WORKER_EXIT_MS - 1000
const EXPELLED =
  'the operator declared this worker dead and removed it from the consumer group. This worker exits; Kubernetes starts it again if its pod still exists'

async function main(): Promise<number> {
  const [command, ...args] = process.argv.slice(2)
  if (command === 'sinks') return (await import('./commands/sinks.ts')).runSinks(args)
  const settings = readSettings(process.argv.slice(2), process.env)
  const text = readTextFile(settings.file)
  const pipeline = parsePipeline(text, settings.file, { admitted: settings.admitted })
  const compiled = compileSpec(pipeline.spec)
  const advice = settings.admitted ? adviceOnKubernetes : undefined
  const tracing = await startTracing({ compiled, worker: settings.workerId, env: process.env })
  const telemetry = createTelemetry({
    pipeline: pipelineKey(pipeline),
    worker: settings.workerId,
    compiled,
    clock,
    logLevel: settings.logLevel,
    commitLog: settings.commitLog,
    advice,
    tracing,
  })
  telemetry.setReady(false, 'Starting')
  logAdmission(pipeline.spec, telemetry.log)
  restartOnSecretChange(process.env, (message, fields) => telemetry.log('info', message, fields))
  const group: { member: Member | null } = { member: null }
  const { httpPort: port, httpHost: host } = settings
  const member = () => group.member
  const http = await startHttp({ port, host, telemetry, member })
  const { namespace, name } = pipeline.metadata
  const members =
    settings.command === 'work' && settings.members
      ? await startMembersHttp({ ...settings.members, host, pipeline: { namespace, name }, member })
      : null
  process.send?.({ type: 'listening', port: http.port, membersPort: members?.port })
  try {
    if (settings.command === 'remove') return (await remove(pipeline, telemetry)) ? 0 : 1
    await work({ pipeline, document: plainValue(parseYaml(text)) }, settings, telemetry, group)
    return 0
  } catch (error) {
    const message = (advice ?? String)((error as Error).message)
    telemetry.setLive(false, message)
    // The operator reads the code from this line, which becomes the container's termination message.
    const code = error instanceof Fatal ? { code: error.code } : {}
    telemetry.log('error', 'worker exiting', { error: message, ...code })
    return 1
  } finally {
    await members?.close()
    await http.close()
    await telemetry.close()
  }
}

async function work(
  { pipeline: written, document }: { pipeline: SalesPipeline; document: unknown },
  settings: Settings,
  telemetry: WorkerTelemetry,
  group: { member: Member | null },
): Promise<void> {
  const stop = new AbortController()
  onStopSignal(() => {
    telemetry.setReady(false, 'Stopping')
    stop.abort()
  })
  const { signal } = stop
  const stored = await retrying({ clock, chance, telemetry, signal }, 'StoreUnavailable', () =>
    openStoredPipeline(written, settings.workerId, process.env),
  )
  if (!stored || signal.aborted) return
  const { schema, aggregations, watermark } = stored
  refuseReservedColumns(written.spec, aggregations)
  reportUnclearMeasures(written.spec, aggregations, telemetry)
  const roundedEach = new Set([...aggregations].filter(([, { roundsEach }]) => roundsEach).map(([name]) => name))
  const { pipeline, kept } = keepFormerDefaults(keepRounding(written, roundedEach), document, watermark)
  logRounding(pipeline.spec, roundedEach, telemetry.log)
  logWatermark(pipeline.spec, kept, telemetry.log)
  await runFlow({ pipeline, schema }, settings, telemetry, group, signal)
}

/** Aborting `stop` commits what was read, for at most DRAIN_MS, and leaves the group. */
async function runFlow(
  { pipeline, schema }: { pipeline: SalesPipeline; schema: string },
  settings: Settings,
  telemetry: WorkerTelemetry,
  group: { member: Member | null },
  stop: AbortSignal,
): Promise<void> {
  const { spec, metadata } = pipeline
  const compiled = compileSpec(spec)
  const connection = kafkaConnection(spec.source, settings.workerId, process.env, KAFKA_TIMEOUTS)
  const source = new KafkaSource(connection, spec.source.topic)
  const store = openPostgresStore(pipeline, settings.workerId, process.env, schema)
  const membership = new KafkaMembership({
    connection,
    groupId: `salespipeline.${metadata.namespace}.${metadata.name}`,
    topic: spec.source.topic,
    sessionTimeoutMs: settings.sessionTimeoutMs,
    onTrouble: message => telemetry.log('warn', message),
    // A broker that was unavailable also renames members, so only the store shows whether this one was expelled.
    onRenamed: previous => void stopIfExpelled(previous),
  })
  group.member = {
    describe: () => membership.describe(),
    expel: member => membership.expel(member, () => store.expel(member)),
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
    unpack,
    sha256,
  })

  const stopping = new AbortController()
  const stopIfExpelled = async (member: string) => {
    const retryDeps = { clock, chance, telemetry, signal: stopping.signal }
    const isExpelled = await retrying(retryDeps, 'StoreUnavailable', () => store.isExpelled(member)).catch(() => false)
    if (isExpelled) flow.stop(new Fatal('RemovedFromGroup', EXPELLED))
  }
  stop.addEventListener('abort', () => {
    stopping.abort()
    flow.drain(DRAIN_MS)
  })
  reportBusy(settings.cpuMillis, telemetry.busy, stopping.signal)
  const projecting = project(pipeline, telemetry, store, stopping.signal)
  // Any other error ends the worker, and the restart is visible. A worker without a projector would look healthy.
  projecting.catch(() => flow.drain(DRAIN_MS))
  try {
    await flow.run()
  } finally {
    stopping.abort()
    await projecting
    await Promise.allSettled([source.close(), store.close()])
  }
}

/** Loads the Elasticsearch client only when it is used, because loading takes a while. */
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

/** Resolves with false when it was stopped before everything was removed. */
async function remove(pipeline: SalesPipeline, telemetry: WorkerTelemetry): Promise<boolean> {
  const [{ removeResults }, { openElasticsearchRemoval }] = await Promise.all([
    import('./removal.ts'),
    import('./adapters/elasticsearch/open.ts'),
  ])
  const rows = openPostgresRemoval(pipeline, process.env)
  const projected = pipeline.spec.sinks.elasticsearch && openElasticsearchRemoval(pipeline, process.env)
  const documents = (owner: string) => projected?.stored(owner) ?? []
  const stopping = new AbortController()
  onStopSignal(() => stopping.abort())
  telemetry.setReady(true)
  try {
    return await removeResults({ rows, documents, clock, chance, telemetry, signal: stopping.signal })
  } finally {
    await Promise.allSettled([rows.close(), projected?.close()])
  }
}

/** Reports ready at the first assignment: a rollout must not continue before that. */
function readyOnceAssigned(telemetry: WorkerTelemetry): WorkerTelemetry {
  return {
    ...telemetry,
    rebalanced(assigned) {
      telemetry.setReady(true)
      telemetry.rebalanced(assigned)
    },
  }
}

/** Calls `stop` once: on SIGTERM, on Ctrl-C, or when the parent process disconnects from IPC. */
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
