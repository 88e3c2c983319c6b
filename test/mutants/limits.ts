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
    find: '< records && this.pendingRows < rows && !this.finished)',
    plant: '< records && rows > 0 && !this.finished)',
    test: 'test/processor/core/partition.test.ts',
    turnsRed: 'stops where its records or rows use the room',
  },
  {
    name: 'the rows of a record are one commit, however many they are',
    file: 'processor/core/partition.ts',
    find: '} while (begun.line < decoder.lines && this.pendingRows < rows)',
    plant: '} while (begun.line < decoder.lines)',
    test: 'test/processor/core/partition.test.ts',
    turnsRed: 'commits inside a record with the event times and ids',
  },
  {
    name: 'a commit inside a record stores what the record changed',
    file: 'processor/core/partition.ts',
    find: 'begun?.before ?? this.#stateAt(this.nextOffset)',
    plant: 'this.#stateAt(this.nextOffset)',
    test: 'test/processor/core/partition.test.ts',
    turnsRed: 'commits inside a record with the event times and ids',
  },
  {
    name: 'a record is added once per event again in each of its parts',
    file: 'processor/core/delta-table.ts',
    find: '!this.#counted?.has(this.#keyOf(codes))',
    plant: 'true',
    test: 'test/processor/core/partition.test.ts',
    turnsRed: 'returns the rows, verdicts and watermark',
  },
  {
    name: 'a commit continues a record from any line',
    file: 'processor/adapters/postgres/statements.ts',
    find: 'AND coalesce(p.counted_lines, 0) = c.from_line',
    plant: '',
    test: 'test/processor/store/postgres.test.ts',
    turnsRed: 'continues inside a record only from the line',
  },
  {
    name: 'a new generation begins inside a record',
    file: 'processor/adapters/postgres/statements.ts',
    find: 'WHERE partition = $1 AND counted_lines > 0)',
    plant: 'WHERE false)',
    test: 'test/processor/store/postgres.test.ts',
    turnsRed: 'begins a new generation after a record',
  },
  {
    name: 'the verifier adds all lines of a record that is counted in parts',
    file: 'verify/recompute.ts',
    find: 'lines: whole.lines.slice(0, lines)',
    plant: 'lines: whole.lines',
    test: 'test/verify/recompute.test.ts',
    turnsRed: 'adds the first lines of a record to the rows',
  },
]
