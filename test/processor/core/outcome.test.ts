import { expect, it } from 'vitest'
import type { Progress } from '#processor/core/claim.ts'
import type { PartitionCommit } from '#processor/core/commit.ts'
import { outcomeOf } from '#processor/core/outcome.ts'

const commit = { epoch: 4, token: 'mine', fromOffset: 100, nextOffset: 150 } as PartitionCommit
const row = (change: Partial<Progress> = {}) => ({ epoch: 4, token: 'mine', nextOffset: 100, ...change }) as Progress

it.each([
  ['committed', 'the row stands at its end', row({ nextOffset: 150 })],
  ['retry', 'the row stands where it counted from', row()],
  ['moved', 'a failover went back further', row({ nextOffset: 70 })],
  ['moved', 'the row stands in between', row({ nextOffset: 120 })],
  ['lost', 'another epoch is in force', row({ epoch: 5, nextOffset: 150 })],
  ['lost', 'another owner has the epoch, after a failover', row({ token: 'theirs' })],
  ['lost', 'there is no row', undefined],
])('a commit without an answer is %s when %s (section 3)', (outcome, _when, found) => {
  expect(outcomeOf(commit, found)).toBe(outcome)
})
