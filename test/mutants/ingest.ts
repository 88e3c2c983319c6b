/** Faults to plant in the REST ingest. */
import type { Mutant } from './engine.ts'

export const INGEST_MUTANTS: Mutant[] = [
  {
    name: 'ingest counts no sales for the limits of a client',
    file: 'producer/serve/rate-limit.ts',
    find: 'if (wait === 0) bucket.sales -= count',
    plant: '',
    test: 'test/producer/serve/rate-limit.test.ts',
    turnsRed: 'limits sales',
  },
  {
    name: 'ingest counts throttled clients as its own refusals',
    file: 'producer/serve/app.ts',
    find: ' && !gate?.isThrottled(request)',
    plant: '',
    test: 'test/producer/serve/rate-limit.test.ts',
    turnsRed: 'counts refused requests by client',
  },
  {
    name: 'ingest reads on after the hundredth fault',
    file: 'producer/serve/validation.ts',
    find: 'if (faults.length === MAX_FAULTS) return { sales, faults }',
    plant: '',
    test: 'test/producer/serve/hostile.test.ts',
    turnsRed: 'does not read an array further than the hundredth fault',
  },
  {
    name: 'ingest checks numbers without their original digits',
    file: 'producer/serve/exact-json.ts',
    find: 'if (hasNumber(plain, own)) return true',
    plant: 'if (hasNumber(plain, own)) return false',
    test: 'test/producer/serve/exact-json.test.ts',
    turnsRed: 'needs the digits of an event',
  },
  {
    name: 'ingest accepts dates that do not exist',
    file: 'producer/serve/exact-checks.ts',
    find: 'year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)',
    plant: 'year % 4 === 0',
    test: 'test/producer/serve/exact-checks.test.ts',
    turnsRed: 'accepts exactly the dates that exist',
  },
  {
    name: 'ingest accepts arrays of any length',
    file: 'producer/serve/body.ts',
    find: 'if (count > maxEvents)',
    plant: 'if (count > bytes.length)',
    test: 'test/producer/serve/hostile.test.ts',
    turnsRed: 'refuses an array with 413 and both numbers',
  },
  {
    name: 'ingest decompresses without a limit',
    file: 'producer/serve/content-encoding.ts',
    find: 'maxOutputLength: maxBytes',
    plant: 'maxOutputLength: 1e9',
    test: 'test/producer/serve/encoding.test.ts',
    turnsRed: 'accepts an encoded request at the size limit after decompression, and refuses it above',
  },
  {
    name: 'ingest accepts requests without regard to their memory',
    file: 'producer/serve/budget.ts',
    find: 'if (this.#usedBytes + bytes > this.#maxBytes)',
    plant: 'if (bytes > this.#maxBytes)',
    test: 'test/producer/serve/budget.test.ts',
    turnsRed: 'refuses further requests with 429',
  },
  {
    name: 'ingest keeps the memory of a request that failed',
    file: 'producer/serve/budget.ts',
    find: 'return work(take).finally(() => this.release(taken))',
    plant: `return work(take).then(result => {
      this.release(taken)
      return result
    })`,
    test: 'test/producer/serve/budget.test.ts',
    turnsRed: 'frees the memory of a request after',
  },
  {
    name: 'ingest waits for ever for a request to arrive',
    file: 'producer/serve/app.ts',
    find: 'const limits = { requestTimeout: receiveWithinMs, ',
    plant: 'const limits = { ',
    test: 'test/producer/serve/budget.test.ts',
    turnsRed: 'does not arrive in time, with 408',
  },
]
