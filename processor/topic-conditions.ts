/** Derives conditions from weaknesses of the topic; null: no such weakness (contract, sections 5 and 6). */
import type { CompiledSpec } from '#pipeline/compiled-spec.ts'
import type { Opened, TopicInfo } from './ports.ts'

export function topicConditions(
  { spec }: CompiledSpec,
  topic: TopicInfo,
  { firstPartitions }: Pick<Opened, 'firstPartitions'>,
): { WeakFutureGuard: string | null; PartitionsAdded: string | null } {
  const { maxFutureSkew } = spec.watermark
  const ahead = Number.isSafeInteger(topic.maxAheadMs) ? `up to ${topic.maxAheadMs} ms` : 'arbitrarily far'
  const grown = spec.deduplication && topic.partitions > firstPartitions
  return {
    WeakFutureGuard:
      topic.maxAheadMs > maxFutureSkew
        ? `topic ${topic.topic} accepts timestamps ${ahead} ahead of the clocks of its brokers, so one wrong clock can close windows early. Change one topic setting: message.timestamp.after.max.ms=${maxFutureSkew} (the value of spec.watermark.maxFutureSkew), or message.timestamp.type=LogAppendTime`
        : null,
    PartitionsAdded: grown
      ? `topic ${topic.topic} grew from ${firstPartitions} to ${topic.partitions} partitions: a sale that was sent before the change and again after it can be counted twice. No action is needed; the risk ends when producers no longer resend such sales`
      : null,
  }
}
