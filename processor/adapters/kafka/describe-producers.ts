/** Kafka's DescribeProducers: which producers have a transaction open in a partition. It needs the right to read the topic. */
import { type Connection, describeProducersV0 } from '@platformatic/kafka'
import type { OpenTransaction } from '#processor/ports.ts'

/** Asks the leader of the partition. Rejects with the library's errors. */
export async function fetchOpenTransactions(
  leader: Connection,
  topic: string,
  partition: number,
): Promise<OpenTransaction[]> {
  const answer = await describeProducersV0.api.async(leader, [{ name: topic, partitionIndexes: [partition] }])
  const producers = answer.topics[0]!.partitions[0]!.activeProducers
  return producers
    .map(({ producerId, lastTimestamp, currentTxnStartOffset }) => ({
      producerId,
      startOffset: Number(currentTxnStartOffset),
      lastWriteAt: Number(lastTimestamp),
    }))
    .filter(({ startOffset }) => startOffset >= 0) // −1: no transaction is open
}
