/** A listener that tells clients to connect to a name that nothing resolves, which is a common mistake with containers. */
import { rmSync } from 'node:fs'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { freePort } from '#local/services/host.ts'
import { hasBroker, launchKafka, prepareKafka, singleNode } from '#local/services/kafka.ts'
import { ServerProcess } from '#local/services/process.ts'
import { KafkaSource } from '#processor/adapters/kafka/source.ts'
import { createTopic, temporaryFolder } from '#test/support/services.ts'

const NAME = 'no-such-host.invalid'
const TOPIC = 'sales'
let broker: ServerProcess
let dataDir: string
/** Port of the listener with the wrong name. */
let port: number

beforeAll(async () => {
  dataDir = temporaryFolder('unresolved')
  const [right, controller] = [await freePort(), await freePort()]
  port = await freePort()
  const jars = await prepareKafka(() => {})
  // Of two lines for one property, the last one counts.
  const properties = `${singleNode(right, controller)}
listeners=PLAINTEXT://127.0.0.1:${right},WRONG://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controller}
advertised.listeners=PLAINTEXT://127.0.0.1:${right},WRONG://${NAME}:${port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,WRONG:PLAINTEXT,CONTROLLER:PLAINTEXT
`
  broker = new ServerProcess({
    name: 'Kafka',
    dataDir,
    temporary: true,
    prepare: () => launchKafka(jars, dataDir, right, properties),
    isReady: () => hasBroker(`127.0.0.1:${right}`),
    readyWithinMs: 180_000,
  })
  await broker.start()
  await createTopic(`127.0.0.1:${right}`, TOPIC, 1)
})
afterAll(async () => {
  await broker.stop()
  rmSync(dataDir, { recursive: true, force: true })
})

it('names the host that a broker advertises and nothing resolves, and what to change', async () => {
  const connection = { clientId: 'test', bootstrapBrokers: [`127.0.0.1:${port}`] }
  const source = new KafkaSource({ ...connection, connectTimeout: 2000, requestTimeout: 5000 }, TOPIC)
  try {
    expect(await source.describe()).toMatchObject({ partitions: 1 })
    await expect(source.offsets([0], 'latest')).rejects.toThrow(
      `Kafka error while looking up offsets of ${TOPIC}: the host name ${NAME} cannot be resolved (ENOTFOUND); correct it in spec.source.bootstrapServers, or in advertised.listeners of the broker, which sends this name to its clients; retrying`,
    )
  } finally {
    await source.close()
  }
})
