import { expect, it } from 'vitest'
import { checkOpenTransactions } from '#processor/open-transactions.ts'
import { OwnedPartition } from '#processor/owned-partition.ts'
import type { OpenTransaction, Source, Telemetry } from '#processor/ports.ts'

const START = Date.parse('2026-11-23T10:00:00Z')
const HANGING: OpenTransaction = { producerId: 4711n, startOffset: 5, lastWriteAt: START - 1000 }

/** A running partition after fetches at the given seconds, with their high watermark and last stable offset. */
function partitionAfter(number: number, ...fetches: [seconds: number, highWatermark: number, stable: number][]) {
  const partition = new OwnedPartition(number)
  partition.enter('claiming')
  partition.enter('running')
  for (const [seconds, end, stable] of fetches) partition.observe(end, stable, START + seconds * 1000)
  return partition
}

/** Resolves with the condition's message. `answer`: the open transactions that Kafka returns, or its error. */
async function conditionOf(partitions: OwnedPartition[], answer: OpenTransaction[] | Error = [HANGING]) {
  const raised: (string | null)[] = []
  const source = {
    openTransactions: async () => {
      if (answer instanceof Error) throw answer
      return answer
    },
  } as unknown as Source
  const telemetry = { condition: (_: string, message: string | null) => raised.push(message) } as unknown as Telemetry
  await checkOpenTransactions({ topic: 'sales', source, telemetry, partitions: () => partitions })
  expect(raised).toHaveLength(1)
  return raised[0]
}

it('reports a transaction that has been open for 30 s, with partition, producer, time and command', async () => {
  const stuck = partitionAfter(2, [0, 9, 5], [29, 20, 5], [30, 21, 5])
  expect(await conditionOf([partitionAfter(1, [0, 7, 7], [30, 7, 7]), stuck])).toBe(
    'partition 2: producer 4711 has an open transaction, and wrote its last record at 2026-11-23T09:59:59Z. No record from offset 5 on can be read since 2026-11-23T10:00:00Z or earlier. Stop the producer or repair it; if the transaction remains open, abort it: kafka-transactions.sh --bootstrap-server SERVER abort --topic sales --partition 2 --start-offset 5',
  )
})

it.each<[string, [number, number, number][]]>([
  [
    'open for less than 30 s',
    [
      [0, 9, 5],
      [29, 20, 5],
    ],
  ],
  [
    'short, one after the other',
    [
      [0, 9, 5],
      [20, 20, 8],
      [40, 30, 15],
    ],
  ],
  [
    'ended in between',
    [
      [0, 9, 5],
      [20, 9, 9],
      [40, 30, 9],
    ],
  ],
  ['seen by one fetch long ago, while Kafka does not respond', [[0, 9, 5]]],
])('does not report transactions that are %s', async (_, fetches) => {
  expect(await conditionOf([partitionAfter(0, ...fetches)])).toBeNull()
})

it('does not report a transaction that ended after the last fetch', async () => {
  const stuck = partitionAfter(0, [0, 9, 5], [60, 9, 5])
  expect(await conditionOf([stuck], [])).toBeNull()
  expect(await conditionOf([stuck], [{ ...HANGING, startOffset: 8 }])).toBeNull()
})

it('reports the transaction without its producer when Kafka does not return it', async () => {
  const stuck = partitionAfter(0, [0, 9, 5], [60, 9, 5])
  expect(await conditionOf([stuck], new Error('not authorized'))).toMatch(
    /^partition 0: a transaction is open, but Kafka did not return its producer\. .* --partition 0 --start-offset 5$/,
  )
})

it('names three partitions and counts the others', async () => {
  const message = await conditionOf([0, 1, 2, 3, 4].map(p => partitionAfter(p, [0, 9, 5], [60, 9, 5])))
  expect(message).toMatch(/^partition 0: .*; partition 1: .*; partition 2: .*; 2 more partitions$/)
})

it('forgets a partition that is no longer read', async () => {
  const stuck = partitionAfter(0, [0, 9, 5], [60, 9, 5])
  stuck.enter('revoked')
  expect(await conditionOf([stuck])).toBeNull()
})
