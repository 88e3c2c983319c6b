/** A real Kafka broker (KRaft, one node) on loopback. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { installKafka, type Progress } from './install.ts'
import { freePort, ServerProcess, stablePort } from './process.ts'

export type KafkaServer = ServerProcess & { bootstrap: string }

/** Starts it on `dataDir`, formatting the folder the first time. */
export async function startKafka(options: { dataDir: string; port?: number | undefined; progress?: Progress }): Promise<KafkaServer> {
  const { dataDir, progress = () => {} } = options
  const jars = await installKafka(progress)
  mkdirSync(dataDir, { recursive: true })
  const port = await stablePort(dataDir, 'kafka', options.port)
  const properties = join(dataDir, 'server.properties')
  writeFileSync(properties, serverProperties(port, await freePort(), join(dataDir, 'log')))
  const java = ['-cp', join(jars, '*'), `-Dlog4j2.configurationFile=${join(import.meta.dirname, 'kafka/log4j2.properties')}`]
  if (!existsSync(join(dataDir, 'log', 'meta.properties')))
    execFileSync('java', [...java, 'kafka.tools.StorageTool', 'format', '-t', clusterId(), '-c', properties], { stdio: 'pipe' })
  const server = new ServerProcess({
    name: 'Kafka',
    command: 'java',
    args: ['-Xms256m', '-Xmx512m', '-XX:+UseG1GC', ...java, 'kafka.Kafka', properties],
    cwd: dataDir,
    logFile: join(dataDir, 'kafka.log'),
    isReady: () => accepts(port),
    readyWithinMs: 120_000,
  })
  await server.start()
  return Object.assign(server, { bootstrap: `127.0.0.1:${port}` })
}

/** 22 characters of base64url, as StorageTool wants them. */
function clusterId(): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString('base64url')
}

function serverProperties(port: number, controllerPort: number, logDir: string): string {
  return `process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}
advertised.listeners=PLAINTEXT://127.0.0.1:${port}
controller.listener.names=CONTROLLER
controller.quorum.voters=1@127.0.0.1:${controllerPort}
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=${logDir}
auto.create.topics.enable=false
log.retention.ms=-1
# One node: the internal topics cannot have three replicas.
offsets.topic.replication.factor=1
offsets.topic.num.partitions=8
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# Rebalances at once, and workers that fall silent are replaced within seconds: fencing is the database's.
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
# A record of 10 MB must get through to its dead letter.
message.max.bytes=33554432
replica.fetch.max.bytes=33554432
num.network.threads=2
num.io.threads=4
`
}

function accepts(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => { socket.destroy(); resolve(true) })
    socket.once('error', () => resolve(false))
  })
}
