import { beforeAll, expect, it } from 'vitest'
import { startLoad } from '#producer/load.ts'
import { startTracing } from '#producer/tracing.ts'
import { createTopic, kafka, unique } from '#test/support/services.ts'
import { ecommerce } from './pipelines.ts'
import { readBack } from './read-back.ts'

// Kafka starts here, so that its start does not count towards the first test's timeout.
beforeAll(kafka)

it('starts no tracing and adds no headers without an OTLP endpoint', async () => {
  expect(await startTracing({ topic: 't', clientId: 'c', sampling: 1, env: {} })).toBeNull()
  const { bootstrap } = await kafka()
  const topic = unique('untraced')
  await createTopic(bootstrap, topic, 1)
  await (await startLoad({ pipeline: ecommerce(bootstrap, topic), count: 10, env: {} })).finished
  expect((await readBack(bootstrap, topic)).map(({ headers }) => headers)).toEqual(Array(10).fill({}))
})
