import { expect, it } from 'vitest'
import type { Progress } from '#processor/core/claim.ts'
import type { PartitionCommit } from '#processor/core/commit.ts'
import { outcomeOf } from '#processor/core/outcome.ts'

const commit = { epoch: 4, token: 'own', fromOffset: 100, nextOffset: 150 } as PartitionCommit
const row = (change: Partial<Progress> = {}) => ({ epoch: 4, token: 'own', nextOffset: 100, ...change }) as Progress

it.each([
  ['committed', 'the row is at the commit’s end', row({ nextOffset: 150 })],
  ['retry', 'the row is at the commit’s start', row()],
  ['moved', 'a failover undid more than the commit', row({ nextOffset: 70 })],
  ['moved', 'the row is in between', row({ nextOffset: 120 })],
  ['lost', 'the row has another epoch', row({ epoch: 5, nextOffset: 150 })],
  ['lost', 'another owner has the same epoch, after a failover', row({ token: 'other' })],
  ['lost', 'the row is missing', undefined],
])('decides %s for an unanswered commit when %s (section 3)', (outcome, _when, progress) => {
  expect(outcomeOf(commit, progress)).toBe(outcome)
})
