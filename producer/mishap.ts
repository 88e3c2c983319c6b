/** What may go wrong with a sale on its way: drawn per event from the fractions of `spec.load`. Pure. */
import type { Load } from '#pipeline/schema.ts'
import type { Dice } from './random.ts'

export type Kind = 'normal' | 'disorder' | 'late' | 'malformed'

export type Mishap = {
  kind: Kind
  /** By how much the event time lies before the schedule's, ms. */
  back: number
  /** The same bytes are sent again so long after the first time, ms; null: once only. */
  againAfter: number | null
}

/** One kind at most per event: where the fractions add up to more than 1, malformed goes before late before disorder. */
export function mishapOf(load: Load, dice: Dice): Mishap {
  const { disorder, lateness, malformed, duplicates } = load
  const againAfter = dice.next() < duplicates.fraction ? dice.int(0, duplicates.within) : null
  const draw = dice.next()
  if (draw < malformed.fraction) return { kind: 'malformed', back: 0, againAfter }
  if (draw < malformed.fraction + lateness.fraction) return { kind: 'late', back: lateness.by, againAfter }
  if (draw < malformed.fraction + lateness.fraction + disorder.fraction)
    return { kind: 'disorder', back: dice.int(0, disorder.max), againAfter }
  return { kind: 'normal', back: 0, againAfter }
}
