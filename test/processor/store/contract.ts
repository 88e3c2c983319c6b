/** The contract of every Store and Outbox. Section numbers refer to docs/semantics.md. */
import { describe } from 'vitest'
import { claimContract } from './contract-claim.ts'
import { commitContract } from './contract-commit.ts'
import { generationContract } from './contract-generation.ts'
import { outboxContract } from './contract-outbox.ts'
import { partialContract } from './contract-partial.ts'
import { timeContract } from './contract-time.ts'
import type { Fresh } from './fixture.ts'

export function storeContract(name: string, fresh: Fresh): void {
  describe(name, () => {
    claimContract(fresh)
    commitContract(fresh)
    generationContract(fresh)
    timeContract(fresh)
    partialContract(fresh)
    outboxContract(fresh)
  })
}
