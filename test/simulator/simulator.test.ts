import { describe, expect, it } from 'vitest'
import { type Bites, noBites } from './bites.ts'
import { simulate } from './simulation.ts'

/** SIM_SEED=123 replays one seed; SIM_SEEDS=5000 runs more of them. */
const only = process.env.SIM_SEED
const count = Number(process.env.SIM_SEEDS ?? 300)
const seeds = only ? [Number(only)] : Array.from({ length: count }, (_, i) => i + 1)

describe('the simulator', () => {
  it(`keeps the contract on ${seeds.length} seeds, through crashes, zombies, lost answers and rebalances`, async () => {
    const { failures, ...total } = noBites()
    for (const seed of seeds) {
      const bites = await run(seed)
      expect(bites.failures.slice(0, 10), `seed ${seed}: replay with SIM_SEED=${seed}`).toEqual([])
      for (const name of Object.keys(total) as (keyof typeof total)[]) total[name] += bites[name]
    }
    console.log(`simulated ${seeds.length} seeds: ${JSON.stringify(total)}`)
    if (only) return
    for (const [name, times] of Object.entries(total))
      expect(times, `${name} must really happen`).toBeGreaterThan(seeds.length / 4)
  }, 600_000)
})

async function run(seed: number): Promise<Bites> {
  try {
    return await simulate(seed)
  } catch (error) {
    throw new Error(`seed ${seed} (replay with SIM_SEED=${seed}): ${(error as Error).message}`, { cause: error })
  }
}
