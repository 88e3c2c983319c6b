/** Whether one clock that is ahead can make correct events of other producers late (contract, section 5). */
import { UNLIMITED } from './lateness.ts'
import type { Spec } from './schema.ts'
import { RECORD_TIMESTAMP } from './time-forms.ts'
import { formatDuration } from './units.ts'

/**
 * Returns what to change, or null if the settings are safe together. An event can be maxFutureSkew ahead of its record, and
 * the record maxFutureSkew ahead of the broker; outOfOrderness must cover both, unless several sources must agree.
 */
export function unsafeWatermark({ event, window, watermark, allowedLateness, aggregations }: Spec): string | null {
  const { outOfOrderness, maxFutureSkew } = watermark
  const steps = event.time.format === RECORD_TIMESTAMP ? 1 : 2
  const closes = aggregations.some(
    aggregation =>
      (aggregation.window ?? window).type !== 'none' && (aggregation.allowedLateness ?? allowedLateness) !== UNLIMITED,
  )
  if (!closes || watermark.sources || outOfOrderness >= steps * maxFutureSkew) return null
  const [reach, order] = [steps * maxFutureSkew, outOfOrderness].map(formatDuration)
  const lower = formatDuration(Math.floor(outOfOrderness / steps))
  const twice = steps === 2 ? ' (twice spec.watermark.maxFutureSkew)' : ' (spec.watermark.maxFutureSkew)'
  return `one clock that is ahead can make correct events of all other producers late: event times up to ${reach} ahead${twice} are accepted, but spec.watermark.outOfOrderness is ${order}; raise outOfOrderness to ${reach}, or lower maxFutureSkew to ${lower}`
}
