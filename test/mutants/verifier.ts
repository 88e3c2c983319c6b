/** Faults to plant in the verifier: it must not give a verdict on records that it cannot read. */
import type { Mutant } from './engine.ts'

export const VERIFIER_MUTANTS: Mutant[] = [
  {
    name: 'the verifier compares the schema of another pipeline',
    file: 'verify/tables.ts',
    find: 'if (mark.owner !== owner)',
    plant: 'if (mark.owner === null)',
    test: 'test/verify/verify.test.ts',
    turnsRed: 'refuses a schema if it belongs to another pipeline',
  },
  {
    name: 'the verifier believes the mark of partial windows',
    file: 'verify/verify.ts',
    find: 'mismarked++',
    plant: 'mismarked--',
    test: 'test/verify/verify.test.ts',
    turnsRed: 'reports a row whose mark for partial windows is wrong',
  },
  {
    name: 'the verifier reads batches with a wrong checksum',
    file: 'verify/record-batches.ts',
    find: 'if (crc32c(batch.subarray(CHECKED_FROM)) !== batch.readUInt32BE(CHECKSUM_AT))',
    plant: 'if (batch.length === 0)',
    test: 'test/verify/record-batches.test.ts',
    turnsRed: 'returns an unreadable message, which names the offset, for a wrong checksum',
  },
  {
    name: 'the verifier gives a verdict on a part of the topic',
    file: 'verify/log.ts',
    find: 'const stalled = setTimeout(stall, stalledAfterMs)',
    plant: 'const stalled = setTimeout(resolve, stalledAfterMs)',
    test: 'test/verify/log.test.ts',
    turnsRed: 'rejects with partition and offsets when the rest of the topic cannot be read',
  },
  {
    name: 'the verifier skips a batch that it cannot read',
    file: 'verify/log.ts',
    find: 'if (!message.unreadable || message.unreadable.offset >= end) return',
    plant: 'if (message || end) return',
    test: 'test/integrity/codecs.test.ts',
    turnsRed: 'none on a topic with a corrupt batch',
  },
]
