/** The claim of a partition that nobody has read yet. */
import type { Claim } from '#processor/core/claim.ts'

export const firstClaim = (changes: Partial<Claim> = {}): Claim => ({
  partition: 0,
  epoch: 1,
  token: 't',
  nextOffset: 0,
  nextLine: 0,
  restoreOffset: 0,
  restoreMaxEventTime: null,
  maxEventTime: null,
  sources: null,
  leaderEpoch: null,
  finishesRecord: false,
  rejectedOffsets: [],
  segments: [{ fromOffset: 0, generation: 1, specJson: '' }],
  ...changes,
})
