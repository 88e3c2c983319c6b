// biome-ignore-all lint/suspicious/noTemplateCurlyInString: `find` and `plant` are pieces of source text.

/** A fault and the test that must turn red when it is planted. */
export type Mutant = {
  /** The fault as a noun phrase, for reports. */
  name: string
  file: string
  /** Source text that occurs exactly once in `file`. */
  find: string
  /** Replaces `find`. */
  plant: string
  /** The test file to run. */
  test: string
  /** Part of the full name of the test that must fail, as a regular expression. */
  turnsRed: string
}

const BATCHES = 'test/processor/core/batches.test.ts'
const SEEN = 'test/processor/core/seen-ids.test.ts'
const POSTGRES = 'test/processor/store/postgres.test.ts'
const SIMULATOR = 'test/simulator/simulator.test.ts'
const SIMULATED = 'keeps the contract'

export const ENGINE_MUTANTS: Mutant[] = [
  {
    name: 'a transaction that stays open is not noticed',
    file: 'processor/owned-partition.ts',
    find: 'return this.undecided > 0 ? this.#fetchedAt - this.stableOffsetSince : 0',
    plant: 'return 0',
    test: 'test/processor/open-transactions.test.ts',
    turnsRed: 'reports a transaction that has been open for 30 s',
  },
  {
    name: 'an older message format is read as a batch',
    file: 'processor/adapters/kafka/fetch.ts',
    find: 'if (format !== MAGIC && at === 0)',
    plant: 'if (format < 0)',
    test: 'test/processor/kafka/source.test.ts',
    turnsRed: 'returns the batches before one in an older message format',
  },
  {
    name: 'lag ends at the last stable offset',
    file: 'processor/upkeep.ts',
    find: 'nextOffset: state.nextOffset, logEnd, undecided, watermark',
    plant: 'nextOffset: state.nextOffset, logEnd: logEnd - undecided, undecided, watermark',
    test: 'test/integrity/open-transaction.test.ts',
    turnsRed: 'reports an open transaction',
  },
  {
    name: 'sums in binary floating point',
    file: 'processor/core/exact.ts',
    find: 'if (Number.isSafeInteger(sum)) return sum',
    plant: 'return sum',
    test: 'test/processor/core/exact.test.ts',
    turnsRed: 'adds, subtracts and multiplies like bigint',
  },
  {
    name: 'rounding half up instead of half to even',
    file: 'processor/core/exact.ts',
    find: '(twice === divisor && quotient % 2n !== 0n)',
    plant: 'twice === divisor',
    test: 'test/processor/core/exact.test.ts',
    turnsRed: 'rounds half to even',
  },
  {
    name: 'rounding of each event before it is added',
    file: 'pipeline/compiled-spec.ts',
    find: "scale: rounding === 'once' ? exact : shown",
    plant: 'scale: shown',
    test: 'test/processor/core/partition.test.ts',
    turnsRed: 'adds amounts exactly for a sum and an average that round once',
  },
  {
    name: 'exact sums in tables whose rows have rounded sums',
    file: 'pipeline/rounding.ts',
    find: "measure.roundEach === false ? 'once' : 'each'",
    plant: "measure.roundEach === true ? 'each' : 'once'",
    test: 'test/pipeline/rounding.test.ts',
    turnsRed: 'is read from a stored document without roundEach',
  },
  {
    name: 'counting of records of aborted transactions',
    file: 'processor/core/batches.ts',
    find: 'return this.#ignored.has(producerId)',
    plant: 'return false',
    test: BATCHES,
    turnsRed: 'read-committed reader must see',
  },
  {
    name: 'aborted transaction forgotten between the pieces of a response',
    file: 'processor/core/batches.ts',
    find: 'this.cut = cut',
    plant: 'this.#ignored.clear()',
    test: BATCHES,
    turnsRed: 'read-committed reader must see',
  },
  {
    name: 'record that was cut, decoded like a whole one',
    file: 'processor/core/partition.ts',
    find: 'if (cursor.cut) return TOO_LARGE',
    plant: '',
    test: 'test/processor/core/partition.test.ts',
    turnsRed: 'too large',
  },
  {
    name: 'record timestamp that doubles round',
    file: 'processor/core/batches.ts',
    find: 'EXACT_BYTES = 7',
    plant: 'EXACT_BYTES = 10',
    test: BATCHES,
    turnsRed: 'timestamp that Kafka computes in 64 bits',
  },
  {
    name: 'abort marker that does not end the aborted range',
    file: 'processor/core/batches.ts',
    find: 'if (this.#isAbortMarker(data, at)) this.#ignored.delete(producerId)',
    plant: '',
    test: BATCHES,
    turnsRed: 'read-committed reader must see',
  },
  {
    name: 'endless rereading of a gap at the end of a batch',
    file: 'processor/core/batches.ts',
    find: 'if (this.#remaining === 0) this.nextOffset = this.#endBatch()\n        else if',
    plant: 'if',
    test: BATCHES,
    turnsRed: 'read-committed reader must see',
  },
  {
    name: 'window that includes its end',
    file: 'processor/core/window.ts',
    find: 'return windowEnd(window, start) + allowedLateness <= watermark',
    plant: 'return windowEnd(window, start) + allowedLateness < watermark',
    test: 'test/processor/core/window.test.ts',
    turnsRed: 'closes a window when the watermark reaches',
  },
  {
    name: 'open deduplication horizon instead of a closed one',
    file: 'processor/core/seen-ids.ts',
    find: '> horizon) this.#remove',
    plant: '>= horizon) this.#remove',
    test: SEEN,
    turnsRed: 'as the contract says',
  },
  {
    name: 'deduplication horizon from the first sighting instead of the last',
    file: 'processor/core/seen-ids.ts',
    find: 'this.#unlink(entry)\n      this.#append(entry, offset, maxTime)\n      return true',
    plant: 'return true',
    test: SEEN,
    turnsRed: 'as the contract says',
  },
  {
    name: 'deduplication set lost when a partition moves',
    file: 'processor/core/partition.ts',
    find: 'this.nextOffset = claim.restoreOffset',
    plant: 'this.nextOffset = claim.nextOffset',
    test: SIMULATOR,
    turnsRed: SIMULATED,
  },
  {
    name: 'watermark per batch instead of per record',
    file: 'processor/core/partition.ts',
    find: 'const rows = this.pendingRows + room.rows',
    plant:
      'const rows = this.pendingRows + room.rows\n    const perBatch = this.watermark\n    Object.defineProperty(this, "watermark", { get: () => perBatch, configurable: true })',
    test: SIMULATOR,
    turnsRed: SIMULATED,
  },
  {
    name: 'event time lost when a partition moves',
    file: 'processor/core/partition.ts',
    find: 'this.maxEventTime = claim.maxEventTime ?? Number.NEGATIVE_INFINITY',
    plant: 'this.maxEventTime = Number.NEGATIVE_INFINITY',
    test: SIMULATOR,
    turnsRed: SIMULATED,
  },
  {
    name: 'undetected failover on a partition without new sales',
    file: 'processor/upkeep.ts',
    find: 'if (partition.state === state && (positions.get(partition.partition) ?? 0) < nextOffset) onMoved(partition)',
    plant: '',
    test: SIMULATOR,
    turnsRed: SIMULATED,
  },
  {
    name: 'rejected commit blamed on its only remaining record',
    file: 'processor/committer.ts',
    find: 'if (sent.length === 1 && records === 1)',
    plant: 'if (live.length === 1 && live[0]!.share!.commit.counters.records === 1)',
    test: 'test/processor/committer.test.ts',
    turnsRed: 'does not blame',
  },
  {
    name: 'lost response to COMMIT treated as a failure',
    file: 'processor/core/outcome.ts',
    find: "if (row.nextOffset === commit.nextOffset) return 'committed'",
    plant: "if (row.nextOffset === commit.nextOffset) return 'retry'",
    test: SIMULATOR,
    turnsRed: SIMULATED,
  },
  {
    name: 'lost response to COMMIT treated as success',
    file: 'processor/core/outcome.ts',
    find: "if (row.nextOffset === commit.fromOffset) return 'retry'",
    plant: "if (row.nextOffset === commit.fromOffset) return 'committed'",
    test: 'test/processor/core/outcome.test.ts',
    turnsRed: 'decides retry for',
  },
  {
    name: 'increments of one partition that overwrite those of another',
    file: 'processor/core/merge.ts',
    find: "if (kind === 'add') return add(present, value)",
    plant: "if (kind === 'add') return value",
    test: SIMULATOR,
    turnsRed: SIMULATED,
  },
  {
    name: 'missing epoch check in PostgreSQL',
    file: 'processor/adapters/postgres/statements.ts',
    find: 'WHERE p.partition = c.partition AND p.epoch = c.epoch AND p.token = c.token AND p.next_offset = c.from_offset',
    plant: 'WHERE p.partition = c.partition AND p.next_offset = c.from_offset',
    test: POSTGRES,
    turnsRed: 'refuses a commit of the previous owner',
  },
  {
    name: 'worker that treats a rejoin under another name as its expulsion',
    file: 'processor/main.ts',
    find: 'if (isExpelled) flow.stop',
    plant: 'if (isExpelled !== null) flow.stop',
    test: 'test/integrity/faults.test.ts',
    turnsRed: 'is stopped past its session timeout',
  },
  {
    name: 'progress written outside the transaction',
    file: 'processor/adapters/postgres/commit.ts',
    find: '...queries.map(query => client.query(query)),',
    plant:
      "...queries.slice(0, 2).map(query => client.query(query)), client.query('COMMIT'), client.query('BEGIN'), ...queries.slice(2).map(query => client.query(query)),",
    test: POSTGRES,
    turnsRed: 'rejects data that it cannot store, writes nothing of the commit',
  },
  {
    name: 'measures overwritten instead of added in PostgreSQL',
    file: 'processor/adapters/postgres/aggregate-statements.ts',
    find: "if (merge === 'add') return `${ident} = t.${ident} + EXCLUDED.${ident}`",
    plant: "if (merge === 'add') return `${ident} = EXCLUDED.${ident}`",
    test: POSTGRES,
    turnsRed: 'adds sums and counts, and keeps minimum and maximum',
  },
  {
    name: 'projection confirmed before the sink responded',
    file: 'processor/projector.ts',
    find: 'const faults = work && (await this.#write(work.rows))',
    plant: 'if (work) await outbox.confirm(work, [])\n    const faults = work && (await this.#write(work.rows))',
    test: 'test/processor/projection/projector.test.ts',
    turnsRed: 'confirms only after the sink has answered',
  },
  {
    name: 'version conflict treated as a rejection',
    file: 'processor/adapters/elasticsearch/bulk.ts',
    find: "if (status === 409) return versionFound(error) > version ? 'newer' : 'done'",
    plant: "if (status === 409) return 'rejected'",
    test: 'test/processor/projection/faults.test.ts',
    turnsRed: 'succeeds on equal versions',
  },
  {
    name: 'a batch’s CRC is not checked',
    file: 'processor/adapters/kafka/fetch.ts',
    find: 'if (crc32c(data.subarray(at + 21, at + length)) !== data.readUInt32BE(at + 17))',
    plant: 'if (length < 0)',
    test: 'test/processor/kafka/source.test.ts',
    turnsRed: 'detects corrupted bytes of a batch by its CRC',
  },
  {
    name: 'check that accepts any amount',
    file: 'producer/check/judge.ts',
    find: 'String(foundAt(name)) !== text',
    plant: 'found[name] === undefined',
    test: 'test/producer/check/judge.test.ts',
    turnsRed: 'digit by digit',
  },
  {
    name: 'check that waits for a dead letter',
    file: 'producer/check/judge.ts',
    find: 'if (dead) throw new CheckFailed(deadLetter(dead, position))',
    plant: '',
    test: 'test/producer/check/judge.test.ts',
    turnsRed: 'does not wait for a sale that is a dead letter',
  },
  {
    name: 'log lines written in the background',
    file: 'common/log-destination.ts',
    find: 'sync: true',
    plant: 'sync: false',
    test: 'test/common/log-destination.test.ts',
    turnsRed: 'is complete and in order when the process exits',
  },
  {
    name: 'amount of an order added once per line',
    file: 'processor/core/delta-table.ts',
    find: "aggregation.columns.map(c => c.per === 'events')",
    plant: 'aggregation.columns.map(() => false)',
    test: 'test/processor/core/partition.test.ts',
    turnsRed: 'returns the rows, verdicts and watermark of the contract',
  },
]
