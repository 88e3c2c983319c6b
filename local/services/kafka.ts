/** A Kafka broker (KRaft, one node) on loopback. */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Admin } from '@platformatic/kafka'
import { MAX_MESSAGE_BYTES, MIN_SESSION_TIMEOUT_MS } from '#pipeline/limits.ts'
import { freePort } from './host.ts'
import { installKafka } from './install.ts'
import { javaCommand } from './prerequisites.mjs'
import { type Progress, type ServerOptions, ServerProcess, stablePort } from './process.ts'
import type { Launch } from './watchdog.ts'

export type KafkaServer = ServerProcess & { bootstrap: string }

const READY_WITHIN_MS = 180_000

/** Installs Kafka and archives its classes, both once. Resolves with the folder of its jars. */
export async function prepareKafka(progress: Progress): Promise<string> {
  const jars = await installKafka(progress)
  if (!existsSync(classesIn(jars))) await archiveClasses(jars, progress)
  return jars
}

/** The JVM ignores this file when it does not fit, such as after an upgrade of Java; a start then only takes longer. */
export const classesIn = (jars: string) => join(jars, 'classes.jsa')

/** Starts a broker to store its classes as they are once they are loaded: from then on, a start takes half the CPU time. */
async function archiveClasses(jars: string, progress: Progress): Promise<void> {
  progress('preparing kafka for quick starts (once) …')
  const dataDir = mkdtempSync(join(tmpdir(), 'sales-pipeline-kafka-'))
  const partial = join(jars, `classes-${process.pid}.jsa`)
  const port = await freePort()
  const server = new ServerProcess({
    name: 'Kafka',
    dataDir,
    temporary: true,
    prepare: async () => {
      const launch = await launchKafka(jars, dataDir, port, singleNode(port, await freePort()))
      return { ...launch, args: [`-XX:ArchiveClassesAtExit=${partial}`, ...launch.args] }
    },
    isReady: () => hasBroker(`127.0.0.1:${port}`),
    readyWithinMs: READY_WITHIN_MS,
  })
  try {
    await server.start()
    await server.stop()
    // A JVM that cannot archive classes gets an empty file, so that the next start does not try again.
    if (!existsSync(partial)) writeFileSync(partial, '')
    renameSync(partial, classesIn(jars))
  } finally {
    rmSync(partial, { force: true })
    rmSync(dataDir, { recursive: true, force: true })
  }
}

/** Starts Kafka on `dataDir`, which it formats the first time. Throws an Error that says what to do. */
export async function startKafka({
  dataDir,
  port: requestedPort,
  progress = () => {},
  onStarting = () => {},
  temporary,
}: ServerOptions): Promise<KafkaServer> {
  const jars = await prepareKafka(progress)
  let port = requestedPort
  const server = new ServerProcess({
    name: 'Kafka',
    dataDir,
    temporary,
    prepare: async () => {
      port = await stablePort(dataDir, 'kafka', port)
      return launchKafka(jars, dataDir, port, singleNode(port, await freePort()))
    },
    isReady: () => hasBroker(`127.0.0.1:${port}`),
    readyWithinMs: READY_WITHIN_MS,
  })
  onStarting(server)
  await server.start()
  return Object.assign(server, { bootstrap: `127.0.0.1:${port}` })
}

/** Returns 22 characters, as StorageTool requires. */
export const newClusterId = () => randomBytes(16).toString('base64url')

/** Returns how to start a broker on `port` with `properties`. Formats its folder the first time. */
export async function launchKafka(
  jars: string,
  dataDir: string,
  port: number,
  properties: string,
  clusterId = newClusterId(),
): Promise<Launch> {
  const file = join(dataDir, 'server.properties')
  const logDir = join(dataDir, 'log')
  writeFileSync(file, `${properties}log.dirs=${logDir}\n`)
  const log4j = `-Dlog4j2.configurationFile=${join(import.meta.dirname, 'kafka/log4j2.properties')}`
  const classes = existsSync(classesIn(jars)) ? [`-XX:SharedArchiveFile=${classesIn(jars)}`] : []
  const java = [...classes, '-cp', join(jars, '*'), log4j]
  // Option and value are one argument, because one id in 64 begins with '-' and would be parsed as an option.
  const format = [...java, 'kafka.tools.StorageTool', 'format', `--cluster-id=${clusterId}`, '-c', file]
  if (!existsSync(join(logDir, 'meta.properties'))) await promisify(execFile)(javaCommand(), format)
  const args = ['-Xms256m', '-Xmx512m', '-XX:+UseG1GC', ...java, 'kafka.Kafka', file]
  return { command: javaCommand(), args, cwd: dataDir, port, stopSignal: 'SIGTERM' }
}

/** Resolves with true once the broker is registered. Its port accepts earlier, when topics cannot be created yet. */
export async function hasBroker(bootstrap: string): Promise<boolean> {
  const admin = new Admin({
    clientId: 'readiness',
    bootstrapBrokers: [bootstrap],
    retries: 0,
    connectTimeout: 2000,
    requestTimeout: 2000,
  })
  try {
    return (await admin.metadata({ topics: [], forceUpdate: true })).brokers.size > 0
  } finally {
    await admin.close()
  }
}

/** Returns the properties of the only node of a cluster. */
export function singleNode(port: number, controllerPort: number): string {
  return `${nodeProperties(1, port, [controllerPort])}
# With one node, the internal topics cannot have three replicas.
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
`
}

/** Returns the properties of node `id` (from 1), a broker and controller. `controllerPorts` are those of all nodes. */
export function nodeProperties(id: number, port: number, controllerPorts: number[]): string {
  return `process.roles=broker,controller
node.id=${id}
listeners=PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPorts[id - 1]}
advertised.listeners=PLAINTEXT://127.0.0.1:${port}
controller.listener.names=CONTROLLER
controller.quorum.voters=${controllerPorts.map((voter, i) => `${i + 1}@127.0.0.1:${voter}`).join(',')}
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
auto.create.topics.enable=false
log.retention.ms=-1
offsets.topic.num.partitions=8
transaction.state.log.num.partitions=4
# Rebalance at once, and replace workers without heartbeats within seconds.
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=${MIN_SESSION_TIMEOUT_MS}
message.max.bytes=${MAX_MESSAGE_BYTES}
replica.fetch.max.bytes=${MAX_MESSAGE_BYTES}
num.network.threads=2
num.io.threads=4
`
}
