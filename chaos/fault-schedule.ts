/** The order and targets of faults: a function of the seed, so that a run can be repeated. */

/** All kinds, in the order in which help and messages name them. */
export const KINDS = ['worker', 'kafka', 'postgres', 'elasticsearch', 'operator', 'node'] as const
export type Kind = (typeof KINDS)[number]

/** `pick`, at least 0 and below 1, chooses one of the targets that exist when the fault is injected. */
export type Step = { round: number; kind: Kind; pick: number }
export type FaultSchedule = Step[]

/** Returns one fault of each kind in random order. A lost node stays lost, so only the first round loses one. */
export function scheduleRound(seed: number, round: number, kinds: readonly Kind[]): FaultSchedule {
  const random = randomOf(seed * 1000 + round)
  const left = KINDS.filter(kind => kinds.includes(kind) && (kind !== 'node' || round === 1))
  const steps: FaultSchedule = []
  while (left.length > 0) {
    const [kind] = left.splice(Math.floor(random() * left.length), 1)
    steps.push({ round, kind: kind!, pick: random() })
  }
  return steps
}

/** Returns the element that `pick` chooses, independently of their order. */
export function chosen<T extends { name: string }>(from: readonly T[], pick: number): T | undefined {
  const sorted = [...from].sort((a, b) => (a.name < b.name ? -1 : 1))
  return sorted[Math.floor(pick * sorted.length)]
}

/** A small generator with the same result on every machine: xorshift with 32 bits, at least 0 and below 1. */
function randomOf(seed: number): () => number {
  let state = Math.imul(seed + 1, 0x9e3779b1) >>> 0 || 1
  const next = () => {
    state ^= state << 13
    state ^= state >>> 17
    state = (state ^ (state << 5)) >>> 0
    return state / 2 ** 32
  }
  // The first values of similar seeds are similar.
  for (let i = 0; i < 8; i++) next()
  return next
}
