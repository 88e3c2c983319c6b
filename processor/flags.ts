/**
 * How Node is started for a worker, wherever one is started. V8 lets its young generation grow to 3 × 32 MB on a large
 * machine; ours holds little that lives long, so a smaller one costs no CPU that could be measured.
 */
export const WORKER_FLAGS = ['--max-semi-space-size=4']

/** One arena for malloc: with one per thread, what one thread frees is kept from the others. About 15 MB. */
export const WORKER_ENVIRONMENT = { MALLOC_ARENA_MAX: '1' }
