import { beforeAll, expect, test } from 'vitest'
import { startLoad } from '#producer/load.ts'
import { startTracing } from '#producer/tracing.ts'
import { createTopic, kafka, unique } from '#test/support/services.ts'
import { ecommerce } from './pipelines.ts'
import { readBack } from './read-back.ts'

// Started here, not within the first test's time.
beforeAll(kafka)

test('without an OTLP endpoint nothing is loaded, and no record has headers', async () => {
  expect(await startTracing({ topic: 't', clientId: 'c', sampling: 1, env: {} })).toBeNull()
  const { bootstrap } = await kafka()
  const topic = unique('untraced')
  await createTopic(bootstrap, topic, 1)
  await (await startLoad({ pipeline: ecommerce(bootstrap, topic), count: 10, env: {} })).finished
  expect((await readBack(bootstrap, topic)).map(({ headers }) => headers)).toEqual(Array(10).fill({}))
})
