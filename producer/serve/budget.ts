/** Bounds the memory of all requests in progress. */
import { tryLater } from './refusal.ts'

/** Bytes of memory that a request needs apart from its body: objects of its connection, its HTTP message and its response. */
export const REQUEST_BYTES = 16 * 1024
/** Bytes of memory that a sale needs apart from its JSON while it waits for Kafka. */
export const SALE_BYTES = 1024

const MIB = 1024 ** 2
/** What an ingest needs without requests: the program, and all connections that it accepts. */
const BASE_BYTES = 256 * MIB
/** Objects of a request take a few times the memory of its bytes. */
const SHARE = 1 / 8
const [MIN_IN_FLIGHT, DEFAULT_IN_FLIGHT, MAX_IN_FLIGHT] = [8 * MIB, 64 * MIB, 256 * MIB]

/** Returns the memory for requests in progress, bytes. `memoryLimit`: bytes that the process may use; undefined: unknown. */
export function defaultInFlight(memoryLimit: string | undefined): number {
  const limit = Number(memoryLimit)
  if (!Number.isSafeInteger(limit) || limit <= 0) return DEFAULT_IN_FLIGHT
  const fitting = Math.floor(Math.min(limit * SHARE, (limit - BASE_BYTES) / 4))
  return Math.min(MAX_IN_FLIGHT, Math.max(MIN_IN_FLIGHT, fitting))
}

export class Budget {
  readonly #maxBytes: number
  #usedBytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  get usedBytes(): number {
    return this.#usedBytes
  }

  /** Takes the bytes until `release`. Throws Refusal with status 429, and takes nothing, if they are not free. */
  take(bytes: number): void {
    if (this.#usedBytes + bytes > this.#maxBytes)
      throw tryLater(
        429,
        'the requests in progress use all memory that --max-in-flight allows; nothing was sent. Send the request again later',
        1,
      )
    this.#usedBytes += bytes
  }

  release(bytes: number): void {
    this.#usedBytes -= bytes
  }

  /** Calls `work` with a function that takes bytes. They are released when the work ends. */
  async during<T>(work: (take: (bytes: number) => void) => Promise<T>): Promise<T> {
    let taken = 0
    const take = (bytes: number) => {
      this.take(bytes)
      taken += bytes
    }
    return work(take).finally(() => this.release(taken))
  }
}
