/** Defines tests that each run on their own database. */
import { it } from 'vitest'
import type { Fresh, Harness } from './fixture.ts'

export function onFresh(fresh: Fresh) {
  return (name: string, test: (harness: Harness) => Promise<void>) =>
    it(name, async () => {
      const harness = await fresh()
      try {
        await test(harness)
      } finally {
        await harness.close()
      }
    })
}
