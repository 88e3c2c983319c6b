/**
 * Node flags of a worker, wherever it is started. By default V8 lets the young generation grow to 3 × 32 MB on a large
 * machine, and the heap to four times its live objects. Most objects of a worker become garbage soon. Measured with
 * bench/drain.ts.
 */
export const WORKER_FLAGS = ['--max-semi-space-size=4', '--heap-growing-percent=100']

export const WORKER_ENVIRONMENT = {
  /** One arena for malloc: with one per thread, memory freed by a thread is not reused by others. Saves about 15 MB. */
  MALLOC_ARENA_MAX: '1',
  /** Cache of compiled code: saves a third of a start's CPU, and 14 MB. Node ignores it where it is not writable. */
  NODE_COMPILE_CACHE: `${import.meta.dirname}/../.cache/compiled`,
}
