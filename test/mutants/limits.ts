/** Faults in what bounds the work of one record and the memory of one commit. */
import type { Mutant } from './engine.ts'

export const LIMITS_MUTANTS: Mutant[] = [
  {
    name: 'records with any number of lines are counted',
    file: 'processor/core/decode/parse/parser.ts',
    find: 'if (lines.length > this.#maxLines)',
    plant: 'if (false)',
    test: 'test/processor/core/decode/decoder.test.ts',
    turnsRed: 'too many lines',
  },
  {
    name: 'a commit has the rows of any number of records',
    file: 'processor/core/partition.ts',
    find: '< records && this.pendingRows < rows)',
    plant: '< records && rows > 0)',
    test: 'test/processor/core/partition.test.ts',
    turnsRed: 'stops where its records or rows use the room',
  },
]
