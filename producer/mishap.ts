/** Mishaps of sales, drawn per event from the fractions of `spec.load`. Pure. */
import type { Load } from '#pipeline/schema.ts'
import type { Dice } from './random.ts'

export type Kind = 'normal' | 'disorder' | 'late' | 'malformed'

export type Mishap = {
  kind: Kind
  /** How much earlier the event time is than scheduled, ms. */
  back: number
  /** Time after which the same bytes are sent again, ms; null if they are sent once. */
  resendAfter: number | null
}

/** Draws at most one kind per event. If the fractions add up to more than 1, malformed precedes late, and late disorder. */
export function mishapOf(load: Load, dice: Dice): Mishap {
  const { disorder, lateness, malformed, duplicates } = load
  const resendAfter = dice.next() < duplicates.fraction ? dice.int(0, duplicates.within) : null
  const draw = dice.next()
  if (draw < malformed.fraction) return { kind: 'malformed', back: 0, resendAfter }
  if (draw < malformed.fraction + lateness.fraction) return { kind: 'late', back: lateness.by, resendAfter }
  if (draw < malformed.fraction + lateness.fraction + disorder.fraction)
    return { kind: 'disorder', back: dice.int(0, disorder.max), resendAfter }
  return { kind: 'normal', back: 0, resendAfter }
}
