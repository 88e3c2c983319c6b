/** Runs the servers that tests share: each starts when a test first requests it over loopback HTTP, and stops at the end. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { ServerProcess } from '#local/services/process.ts'
import { ownElasticsearch, ownKafka, ownPostgres } from './services.ts'

type Shared = { server: ServerProcess; address: Record<string, unknown> }

const START: Record<string, () => Promise<Shared>> = {
  kafka: () => ownKafka('kafka').then(server => ({ server, address: { bootstrap: server.bootstrap } })),
  elasticsearch: () => ownElasticsearch('elasticsearch').then(server => ({ server, address: { url: server.url } })),
  postgres: async () => {
    const server = await ownPostgres('postgres')
    const { host, port, user, password, url } = server
    return { server, address: { host, port, user, password, url } }
  },
}

export default async function setup(): Promise<() => Promise<void>> {
  const running = new Map<string, Promise<Shared>>()
  const broker = createServer(async (request, response) => {
    const name = request.url!.slice(1)
    try {
      if (!running.has(name)) running.set(name, START[name]!())
      const { address } = await running.get(name)!
      response.end(JSON.stringify(address))
    } catch (error) {
      response.writeHead(500).end((error as Error).message)
    }
  })
  await new Promise<void>(resolve => broker.listen(0, '127.0.0.1', resolve))
  process.env.TEST_SERVICES = `http://127.0.0.1:${(broker.address() as AddressInfo).port}`
  return async () => {
    broker.close()
    await Promise.all(
      [...running.values()].map(started =>
        started.then(
          ({ server }) => server.stop(),
          () => {},
        ),
      ),
    )
  }
}
