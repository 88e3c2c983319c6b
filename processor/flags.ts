/**
 * How Node is started for a worker, wherever one is started. V8 lets its young generation grow to 3 × 32 MB on a large
 * machine, and its heap to four times what is alive; most of ours is garbage soon. Measured on a drain (bench/drain.ts).
 */
export const WORKER_FLAGS = ['--max-semi-space-size=4', '--heap-growing-percent=100']

export const WORKER_ENVIRONMENT = {
  /** One arena for malloc: with one per thread, what one thread frees is kept from the others. About 15 MB. */
  MALLOC_ARENA_MAX: '1',
  /** Compiled code of earlier starts: a third of a start's CPU, and 14 MB. Where it cannot be written, Node goes without. */
  NODE_COMPILE_CACHE: `${import.meta.dirname}/../.cache/compiled`,
}
