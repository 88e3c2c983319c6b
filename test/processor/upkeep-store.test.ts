import { setImmediate } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { compileSpec } from '#pipeline/compiled-spec.ts'
import { PartitionState } from '#processor/core/partition.ts'
import { Retryable } from '#processor/errors.ts'
import { OwnedPartition } from '#processor/owned-partition.ts'
import type { Clock, Store, Telemetry } from '#processor/ports.ts'
import { Upkeep, type UpkeepDeps } from '#processor/upkeep.ts'
import { pipelineOf } from '#test/processor/store/fixture.ts'
import { firstClaim } from '#test/support/claim.ts'

/** Runs a round of the upkeep for each outcome of `advance`: null, or the error. Returns StoreUnavailable after each round. */
async function conditionsAfter(outcomes: (Retryable | null)[]): Promise<(string | null)[]> {
  const seen: (string | null)[] = []
  let shown: string | null = null
  let sleepers: (() => void)[] = []
  const clock: Clock = { now: () => 0, sleep: () => new Promise(resolve => sleepers.push(resolve)) }
  const left = [...outcomes]
  const advance = async () => {
    const error = left.shift()
    if (error) throw error
    return null
  }
  const store = { advance, deadLetterBytes: async () => 0, grantReaders: async () => null } as unknown as Store
  const telemetry = {
    log() {},
    committable() {},
    condition(code: string, message: string | null) {
      if (code === 'StoreUnavailable') shown = message
    },
  } as unknown as Telemetry
  const deps = { compiled: compileSpec(pipelineOf().spec), store, clock, telemetry, partitions: () => [] }
  const bounds = { paused: false, observe: () => null }
  const upkeep = new Upkeep({ ...deps, bounds, input: { report() {} } } as unknown as UpkeepDeps)
  const end = new AbortController()
  const running = upkeep.run(end.signal)
  for (const _ of outcomes) {
    await setImmediate() // until every loop sleeps
    seen.push(shown)
    for (const wake of sleepers.splice(0)) wake()
  }
  end.abort()
  await setImmediate()
  sleepers = sleepers.filter(wake => wake())
  await running
  return seen
}

const down = new Retryable('PostgreSQL does not respond', { condition: 'StoreUnavailable' })

it('reports PostgreSQL as unavailable while no sale arrives, and clears that once it responds', async () =>
  expect(await conditionsAfter([null, down, down, down, null])).toEqual([
    null,
    null,
    'PostgreSQL does not respond',
    'PostgreSQL does not respond',
    null,
  ]))

it('reports nothing after a single failure, or one that does not concern PostgreSQL', async () => {
  expect(await conditionsAfter([down, null, down, null])).toEqual([null, null, null, null])
  expect(await conditionsAfter([new Retryable('x'), new Retryable('x'), new Retryable('x')])).toEqual([
    null,
    null,
    null,
  ])
})

describe('a claim', () => {
  const compiled = compileSpec(pipelineOf().spec)
  const claimed = (owned: OwnedPartition, token: string) => {
    owned.enter('claiming')
    owned.state = new PartitionState(firstClaim({ partition: owned.partition, token }), () => compiled)
    owned.enter('running')
  }

  it('counts as committable only after the store has accepted an empty commit for it', async () => {
    const owned = new OwnedPartition(3)
    claimed(owned, 'first')
    const sent: string[][] = []
    const outcomes = [new Retryable('down'), [], [3], [3]]
    const rounds: number[][] = []
    let shown: number[] = []
    const end = new AbortController()
    let sleepers: (() => void)[] = []
    const clock: Clock = { now: () => 0, sleep: () => new Promise(resolve => sleepers.push(resolve)) }
    const store = {
      async commitNothing(of: { token: string }[]) {
        sent.push(of.map(({ token }) => token))
        const outcome = outcomes.shift()!
        if (outcome instanceof Retryable) throw outcome
        return outcome
      },
      advance: async () => null,
      positions: async () => new Map(),
      deadLetterBytes: async () => 0,
      grantReaders: async () => null,
    } as unknown as Store
    const telemetry = { log() {}, condition() {}, position() {}, committable: (of: number[]) => (shown = of) }
    const bounds = { paused: false, observe: () => null }
    const upkeep = new Upkeep({
      ...{ compiled, store, clock, telemetry, bounds, partitions: () => [owned], input: { report() {} } },
      ...{ membership: { publishOffsets: async () => {} }, source: { openTransactions: async () => [] } },
    } as unknown as UpkeepDeps)
    const running = upkeep.run(end.signal)
    for (let round = 0; round < 7; round++) {
      await setImmediate()
      rounds.push(shown)
      if (round === 4) {
        owned.enter('assigned')
        claimed(owned, 'second')
      }
      for (const wake of sleepers.splice(0)) wake()
    }
    end.abort()
    await setImmediate()
    sleepers = sleepers.filter(wake => wake())
    await running
    expect(sent).toEqual([['first'], ['first'], ['first'], ['second']])
    // What a round proves is shown by the next one, which runs beside it.
    expect(rounds).toEqual([[], [], [], [3], [3], [], [3]])
  })
})
