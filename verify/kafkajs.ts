/**
 * kafkajs with a corrected filter of aborted transactions. The original considers at most one aborted transaction per
 * message, in the order in which they ended, so it delivers aborted records when transactions of several producers
 * interleave. (Measured with three producers of 180 records, two of them aborted: it delivered 4 aborted records.)
 * Its decoder of record batches is completed, too.
 */
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { CODECS, checkedDecoder } from './record-batches.ts'

export interface TransactionalMessage {
  key: Buffer | null
  offset: string
  isControlRecord: boolean
  batchContext: { producerId: string; inTransaction: boolean }
}

export interface Fetched<T> {
  messages: T[]
  /** Aborted transactions in the fetched offsets; null under read_uncommitted. */
  abortedTransactions: { producerId: string; firstOffset: string }[] | null
}

/** A control record's key is its version and its type, 16 bits each; type 0 ends an aborted transaction. */
const ABORT = Buffer.of(0, 0, 0, 0)

/** Returns the messages without the records of aborted transactions; control records stay. */
export function withoutAborted<T extends TransactionalMessage>({ messages, abortedTransactions }: Fetched<T>): T[] {
  const upcoming = [...(abortedTransactions ?? [])].sort((a, b) => Number(a.firstOffset) - Number(b.firstOffset))
  const open = new Set<string>()
  return messages.filter(({ key, offset, isControlRecord, batchContext: { producerId, inTransaction } }) => {
    while (upcoming.length > 0 && Number(upcoming[0]!.firstOffset) <= Number(offset))
      open.add(upcoming.shift()!.producerId)
    if (isControlRecord && key?.equals(ABORT)) open.delete(producerId)
    return isControlRecord || !inTransaction || !open.has(producerId)
  })
}

const require = createRequire(import.meta.url)
const FILTER = require.resolve('kafkajs/src/consumer/filterAbortedMessages.js')
const BATCHES = require.resolve('kafkajs/src/protocol/recordBatch/v0/decoder.js')
const REQUESTS = require.resolve('kafkajs/src/network/requestQueue/index.js')

/** With nothing throttled or pending, the original sets a timer with a negative delay, and Node prints a warning. */
function withoutNegativeTimer(prototype: { pending: unknown[]; scheduleCheckPendingRequests(): void }): void {
  const original = prototype.scheduleCheckPendingRequests
  prototype.scheduleCheckPendingRequests = function () {
    if (this.pending.length > 0) original.call(this)
  }
}

/** Loads a separate copy: a copy that was loaded earlier keeps the original filter. */
function loadPatched(): typeof import('kafkajs') {
  const folder = dirname(require.resolve('kafkajs/package.json'))
  for (const file of Object.keys(require.cache)) if (file.startsWith(folder)) delete require.cache[file]
  replace(FILTER, () => withoutAborted)
  replace(BATCHES, checkedDecoder)
  withoutNegativeTimer(require(REQUESTS).prototype)
  const kafkajs: typeof import('kafkajs') = require('kafkajs')
  const gzip = kafkajs.CompressionCodecs[kafkajs.CompressionTypes.GZIP]!
  // It keeps its compression: tests also send with kafkajs.
  const both = () => ({ ...gzip(), ...CODECS[kafkajs.CompressionTypes.GZIP]!() })
  Object.assign(kafkajs.CompressionCodecs, CODECS, { [kafkajs.CompressionTypes.GZIP]: both })
  return kafkajs
}

/** Every module of kafkajs that is loaded later gets the replacement. */
function replace<T>(file: string, by: (original: T) => unknown): void {
  const original: T = require(file)
  require.cache[file]!.exports = by(original)
}

export const { Kafka, logLevel } = loadPatched()
