/** A consumer group as its members see it: delayed assignments, overlapping owners, expiry of silent members. */
import type { Membership } from '#processor/ports.ts'
import type { Life, World } from './world.ts'

const SESSION_TIMEOUT_MS = 3000
const HEARTBEAT_MS = 500

type Member = { life: Life; lastSeen: number; assigned: number[]; onAssignment: (partitions: number[]) => void }

export class Group {
  rebalances = 0
  readonly #world: World
  #partitions: number
  readonly #members = new Map<Life, Member>()

  constructor(world: World, partitions: number) {
    this.#world = world
    this.#partitions = partitions
    this.#checkSessions()
  }

  /** Sets the number of partitions of the topic, and rebalances. */
  grow(partitions: number): void {
    this.#partitions = partitions
    this.#rebalance()
  }

  membership(life: Life): Membership {
    return {
      join: onAssignment => life.call(async () => this.#join(life, onAssignment)),
      confirm: () => life.call(async () => this.#members.get(life)?.assigned ?? []),
      publishOffsets: () => life.call(async () => {}),
      leave: () => life.call(async () => this.#remove(life)),
    }
  }

  #join(life: Life, onAssignment: (partitions: number[]) => void): void {
    this.#members.set(life, { life, lastSeen: this.#world.now, assigned: [], onAssignment })
    this.#rebalance()
  }

  #remove(life: Life): void {
    if (this.#members.delete(life)) this.#rebalance()
  }

  /** Each member receives its new assignment after a random delay and continues with the old one until then. */
  #rebalance(): void {
    this.rebalances++
    const members = [...this.#members.values()]
    members.forEach((member, i) => {
      member.assigned = Array.from({ length: this.#partitions }, (_, p) => p).filter(p => p % members.length === i)
      const { assigned } = member
      this.#world.after(this.#world.random.int(1, HEARTBEAT_MS), () =>
        member.life.deliver(() => {
          if (this.#members.get(member.life) === member && member.assigned === assigned) member.onAssignment(assigned)
        }),
      )
    })
  }

  #checkSessions(): void {
    for (const member of [...this.#members.values()]) {
      if (member.life.state === 'up') member.lastSeen = this.#world.now
      else if (this.#world.now - member.lastSeen > SESSION_TIMEOUT_MS) this.#removeExpired(member)
    }
    this.#world.after(HEARTBEAT_MS, () => this.#checkSessions())
  }

  /** A zombie learns at its next heartbeat that it was removed, and rejoins. */
  #removeExpired(member: Member): void {
    this.#remove(member.life)
    member.life.deliver(() => {
      this.#world.after(this.#world.random.int(1, HEARTBEAT_MS), () =>
        member.life.deliver(() => {
          member.onAssignment([])
          this.#join(member.life, member.onAssignment)
        }),
      )
    })
  }
}
