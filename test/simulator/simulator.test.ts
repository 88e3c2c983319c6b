import { describe, expect, it } from 'vitest'
import { simulate } from './simulation.ts'
import { emptyStatistics, type Statistics } from './statistics.ts'

/** SIM_SEED=123 replays one seed; SIM_SEEDS=5000 runs more of them. A fifth as many are added that are new in each run. */
const only = process.env.SIM_SEED
const count = Number(process.env.SIM_SEEDS ?? 300)
const firstNew = 1_000_000 + Math.floor(Math.random() * 2 ** 31)
const from = (first: number, length: number) => Array.from({ length }, (_, i) => first + i)
const seeds = only ? [Number(only)] : [...from(1, count), ...from(firstNew, count / 5)]

describe('simulator', () => {
  it(`keeps the contract on ${seeds.length} seeds, through crashes, zombies, lost responses and rebalances`, async () => {
    const { failures, ...total } = emptyStatistics()
    for (const seed of seeds) {
      const statistics = await run(seed)
      expect(statistics.failures.slice(0, 10), `seed ${seed}: replay with SIM_SEED=${seed}`).toEqual([])
      for (const name of Object.keys(total) as (keyof typeof total)[]) total[name] += statistics[name]
    }
    console.log(`simulated ${seeds.length} seeds: ${JSON.stringify(total)}`)
    if (only) return
    // A new spec seldom meets a record that is counted in parts.
    for (const [name, times] of Object.entries(total))
      expect(times, `${name} must occur`).toBeGreaterThan(seeds.length / (name === 'finished' ? 100 : 4))
  }, 600_000)
})

async function run(seed: number): Promise<Statistics> {
  try {
    return await simulate(seed)
  } catch (error) {
    throw new Error(`seed ${seed} (replay with SIM_SEED=${seed}): ${(error as Error).message}`, { cause: error })
  }
}
