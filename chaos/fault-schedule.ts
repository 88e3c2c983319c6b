/** Which fault comes when, and to whom: a function of the seed, so that a run can be repeated. */

/** All kinds, in the order in which help and messages name them. */
export const KINDS = ['worker', 'kafka', 'postgres', 'elasticsearch', 'operator', 'node'] as const
export type Kind = (typeof KINDS)[number]

/** `pick`, from 0 up to 1, chooses one of those that are there when the time comes. */
export type Step = { round: number; kind: Kind; pick: number }
export type FaultSchedule = Step[]

/** One round hits each kind once, in an order of its own. A lost node stays lost: only the first round takes one. */
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

/** Whoever `pick` chooses, whatever order they are given in. */
export function chosen<T extends { name: string }>(from: readonly T[], pick: number): T | undefined {
  const sorted = [...from].sort((a, b) => (a.name < b.name ? -1 : 1))
  return sorted[Math.floor(pick * sorted.length)]
}

/** Small, and the same on every machine: xorshift over 32 bits, from 0 up to 1. */
function randomOf(seed: number): () => number {
  let state = Math.imul(seed + 1, 0x9e3779b1) >>> 0 || 1
  const next = () => {
    state ^= state << 13
    state ^= state >>> 17
    state = (state ^ (state << 5)) >>> 0
    return state / 2 ** 32
  }
  // Near seeds begin near each other.
  for (let i = 0; i < 8; i++) next()
  return next
}
