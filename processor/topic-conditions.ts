/** Derives conditions from weaknesses of the topic; null: no such weakness (contract, sections 5 and 6). */
import type { CompiledSpec } from '#pipeline/compiled-spec.ts'
import type { Opened, TopicInfo } from './ports.ts'

export function topicConditions(
  { spec }: CompiledSpec,
  topic: TopicInfo,
  { firstPartitions }: Opened,
): { WeakFutureGuard: string | null; PartitionsAdded: string | null } {
  const { maxFutureSkew } = spec.watermark
  const ahead = Number.isSafeInteger(topic.maxAheadMs) ? `up to ${topic.maxAheadMs} ms` : 'arbitrarily far'
  const grown = spec.deduplication && topic.partitions > firstPartitions
  return {
    WeakFutureGuard:
      topic.maxAheadMs > maxFutureSkew
        ? `topic ${topic.topic} accepts timestamps ${ahead} ahead of its brokers' clocks, so one wrong clock can close windows early. Set the topic's message.timestamp.after.max.ms to ${maxFutureSkew} (spec.watermark.maxFutureSkew), or its message.timestamp.type to LogAppendTime`
        : null,
    PartitionsAdded: grown
      ? `topic ${topic.topic} grew from ${firstPartitions} to ${topic.partitions} partitions: a sale that was sent both before and after the change may be in two partitions, where it is not recognised as a duplicate`
      : null,
  }
}
