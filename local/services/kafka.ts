/** A Kafka broker (KRaft, one node) on loopback. */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Admin } from '@platformatic/kafka'
import { MAX_MESSAGE_BYTES, MIN_SESSION_TIMEOUT_MS } from '#pipeline/limits.ts'
import { freePort } from './host.ts'
import { installKafka } from './install.ts'
import { javaCommand } from './prerequisites.mjs'
import { type ServerOptions, ServerProcess, stablePort } from './process.ts'
import type { Launch } from './watchdog.ts'

export type KafkaServer = ServerProcess & { bootstrap: string }

/** Starts Kafka on `dataDir`, which it formats the first time. Throws an Error that says what to do. */
export async function startKafka({
  dataDir,
  port: requestedPort,
  progress = () => {},
  onStarting = () => {},
  temporary,
}: ServerOptions): Promise<KafkaServer> {
  const jars = await installKafka(progress)
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
    readyWithinMs: 180_000,
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
  const java = ['-cp', join(jars, '*'), log4j]
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
