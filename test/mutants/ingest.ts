/** Faults to plant in the REST ingest. */
import type { Mutant } from './engine.ts'

export const INGEST_MUTANTS: Mutant[] = [
  {
    name: 'ingest reads on after the hundredth fault',
    file: 'producer/serve/validation.ts',
    find: 'if (faults.length === MAX_FAULTS) return { sales, faults }',
    plant: '',
    test: 'test/producer/serve/hostile.test.ts',
    turnsRed: 'is not read further than the hundredth fault',
  },
  {
    name: 'ingest accepts arrays of any length',
    file: 'producer/serve/body.ts',
    find: 'if (count > maxEvents)',
    plant: 'if (count > bytes.length)',
    test: 'test/producer/serve/hostile.test.ts',
    turnsRed: 'is refused with 413 and both numbers',
  },
  {
    name: 'ingest decompresses without a limit',
    file: 'producer/serve/content-encoding.ts',
    find: 'maxOutputLength: maxBytes',
    plant: 'maxOutputLength: 1e9',
    test: 'test/producer/serve/encoding.test.ts',
    turnsRed: 'is accepted at the size limit after decompression, and refused above it',
  },
]
