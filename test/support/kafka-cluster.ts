/** Three real Kafka brokers on loopback, each also a controller, with three replicas of every partition. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '#local/services/host.ts'
import { hasBroker, launchKafka, newClusterId, nodeProperties, prepareKafka } from '#local/services/kafka.ts'
import { ServerProcess } from '#local/services/process.ts'
import { temporaryFolder } from './services.ts'

const NODES = [1, 2, 3]

/** A dead broker loses its leaderships after the session timeout, and gets them back soon after it returns. */
const REPLICATED = `default.replication.factor=3
min.insync.replicas=2
offsets.topic.replication.factor=3
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
leader.imbalance.check.interval.seconds=2
leader.imbalance.per.broker.percentage=0
`

export type KafkaCluster = {
  /** All three addresses, comma-separated. */
  bootstrap: string
  kill(id: number): Promise<void>
  start(id: number): Promise<void>
  stop(): Promise<void>
}

export async function ownKafkaCluster(name: string): Promise<KafkaCluster> {
  const jars = await prepareKafka(() => {})
  const folder = temporaryFolder(name)
  const clusterId = newClusterId()
  const [ports, controllerPorts] = [await freePorts(), await freePorts()]
  const nodes = NODES.map((id, i) => {
    const dataDir = join(folder, String(id))
    const properties = `${nodeProperties(id, ports[i]!, controllerPorts)}${REPLICATED}`
    return new ServerProcess({
      name: 'Kafka',
      dataDir,
      temporary: true,
      prepare: () => launchKafka(jars, dataDir, ports[i]!, properties, clusterId),
      isReady: () => hasBroker(`127.0.0.1:${ports[i]}`),
      readyWithinMs: 180_000,
    })
  })
  await Promise.all(nodes.map(node => node.start()))
  return {
    bootstrap: ports.map(port => `127.0.0.1:${port}`).join(','),
    kill: id => nodes[id - 1]!.kill(),
    start: id => nodes[id - 1]!.start(),
    async stop() {
      // Kills them: a broker that stops in order would wait for a quorum that no longer exists.
      await Promise.all(nodes.map(node => node.kill()))
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function freePorts(): Promise<number[]> {
  const ports: number[] = []
  while (ports.length < NODES.length) ports.push(await freePort())
  return ports
}
