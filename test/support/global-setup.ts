/** Holds the servers that tests share: started when the first test asks over loopback HTTP, ended with the run. */
import { createServer } from 'node:http'
import type { ServerProcess } from '#local/services/process.ts'
import { ownElasticsearch, ownKafka, ownPostgres } from './services.ts'

const STARTERS: Record<string, () => Promise<ServerProcess>> = {
  kafka: () => ownKafka('shared-kafka'),
  postgres: () => ownPostgres('shared-postgres'),
  elasticsearch: () => ownElasticsearch('shared-elasticsearch'),
}

export default async function setup(): Promise<() => Promise<void>> {
  const running = new Map<string, Promise<ServerProcess>>()
  const broker = createServer(async (request, response) => {
    const name = request.url?.slice(1) ?? ''
    try {
      if (!running.has(name)) running.set(name, STARTERS[name]!())
      const { bootstrap, url, host, port, user, password } = (await running.get(name)) as never as Record<string, unknown>
      response.end(JSON.stringify({ bootstrap, url, host, port, user, password }))
    } catch (error) {
      response.writeHead(500).end((error as Error).message)
    }
  })
  await new Promise<void>(resolve => broker.listen(0, '127.0.0.1', resolve))
  process.env.TEST_SERVICES = `http://127.0.0.1:${(broker.address() as { port: number }).port}`
  return async () => {
    broker.close()
    await Promise.all([...running.values()].map(server => server.then(s => s.stop(), () => {})))
  }
}
