/** Compares one partition's step with a simple model of sections 5 to 7, on random sales in random batches. */
import Big from 'big.js'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compileSpec } from '#pipeline/compiled-spec.ts'
import { parsePipeline } from '#pipeline/parse.ts'
import type { Claim } from '#processor/core/claim.ts'
import type { PartitionCommit } from '#processor/core/commit.ts'
import { PartitionState } from '#processor/core/partition.ts'
import { firstClaim } from '#test/support/claim.ts'
import { check } from '#test/support/properties.ts'
import { encodeBatch } from '#test/support/record-batch.ts'

const OUT_OF_ORDERNESS = 3000
const LATENESS = 2000
const HORIZON = 8000
const MAX_IDS = 4

const pipeline = parsePipeline(`
apiVersion: salespipeline.dev/v1alpha1
kind: SalesPipeline
metadata: { name: sales }
spec:
  source: { topic: sales }
  event:
    id: id
    time: { path: at, format: epoch, unit: ms, notBefore: "1900-01-01T00:00:00Z" }
    fields: [{ name: store }, { name: total, type: decimal, scale: 3 }]
    explode:
      path: lines
      fields: [{ name: quantity, type: number }, { name: price, type: decimal, scale: 3 }]
  window: { type: tumbling, size: 10s, offset: 3s }
  watermark: { outOfOrderness: ${OUT_OF_ORDERNESS}ms, maxFutureSkew: 24h }
  allowedLateness: ${LATENESS}ms
  deduplication: { horizon: ${HORIZON}ms, maxIds: ${MAX_IDS} }
  aggregations:
    - name: tumbling
      groupBy: [store]
      measures:
        - { name: lines, op: count }
        - { name: sales, op: count, of: events }
        - { name: revenue, op: sum, of: quantity * price, scale: 2 }
        - { name: smallest, op: min, of: price }
        - { name: largest, op: max, of: price }
        - { name: rough, op: sum, of: quantity * price, scale: 2, roundEach: true }
        - { name: mean, op: average, of: price, scale: 1 }
        - { name: cheapest, op: min, of: price, scale: 1 }
        - { name: orders, op: sum, of: total, per: events }
        - { name: usual, op: average, of: total, per: events, scale: 1 }
        - { name: again, op: sum, of: total, per: lines }
    - { name: sliding, window: { type: sliding, size: 12s, slide: 4s }, measures: [{ name: lines, op: count }] }
    - { name: ever, window: { type: none }, groupBy: [store], measures: [{ name: revenue, op: sum, of: price }] }
    - { name: sizes, window: { type: none }, groupBy: [quantity], measures: [{ name: orders, op: count, of: events }] }
`)
const compiled = compileSpec(pipeline.spec)
const WINDOWS: Record<string, [size: number, slide: number, offset: number] | null> = {
  tumbling: [10_000, 10_000, 3000],
  sliding: [12_000, 4000, 0],
  ever: null,
  sizes: null,
}

type Line = { quantity: number; mills: number }
/** `total` does not depend on the lines, so that it matters how often it is added. */
type Sale = { id: number; at: number; store: string; total: number; lines: Line[] }
/** Null stands for a record that cannot be decoded. */
type Log = (Sale | null)[]

const sale = fc.record({
  id: fc.integer({ min: 0, max: 7 }),
  at: fc.integer({ min: -20_000, max: 40_000 }),
  store: fc.constantFrom('a', 'b', ''),
  total: fc.integer({ min: -99, max: 9999 }),
  lines: fc.array(
    fc.record({ quantity: fc.integer({ min: -3, max: 9 }), mills: fc.integer({ min: -9999, max: 99_999 }) }),
    {
      minLength: 1,
      maxLength: 3,
    },
  ),
})
const log = fc.array(fc.option(sale, { freq: 12 }), { minLength: 1, maxLength: 60 })
/**
 * After how many records a batch ends, a commit is made, the partition moves to another worker; the rows of a commit; and
 * those of a record from which on commits are made inside of it, and the partition may move there.
 */
const cuts = fc.record({
  batches: fc.nat(3),
  commits: fc.nat(6),
  moves: fc.nat(12),
  rows: fc.oneof(fc.integer({ min: 1, max: 9 }), fc.constant(Number.POSITIVE_INFINITY)),
  recordRows: fc.oneof(fc.integer({ min: 1, max: 30 }), fc.constant(Number.POSITIVE_INFINITY)),
})
type Cuts = { batches: number; commits: number; moves: number; rows?: number; recordRows?: number }

const priceOf = ({ mills }: Line) => Big(mills).div(1000)
const bytesOf = (sale: Sale | null) =>
  Buffer.from(
    sale === null
      ? '{"id":'
      : JSON.stringify({
          ...sale,
          lines: sale.lines.map(line => ({ quantity: line.quantity, price: priceOf(line).toFixed() })),
        }),
  )

type Outcome = {
  /** "aggregation|window start|store" → the columns, as text. */
  rows: Map<string, string[]>
  /** "aggregation|offset" → missed window starts. */
  late: Map<string, number[]>
  counts: { dead: number; duplicate: number; accepted: number }
  watermarks: number[]
  /** Commits inside a record. */
  inside: number
}

const emptyOutcome = (): Outcome => ({
  rows: new Map(),
  late: new Map(),
  counts: { dead: 0, duplicate: 0, accepted: 0 },
  watermarks: [],
  inside: 0,
})

/** Computes the outcome by sections 5 to 7, sentence by sentence. */
function expected(log: Log): Outcome {
  const outcome = emptyOutcome()
  let greatest = Number.NEGATIVE_INFINITY
  let seen: { id: number; greatest: number }[] = [] // by last sighting, oldest first
  log.forEach((sale, offset) => {
    if (sale === null) outcome.counts.dead++
    else {
      const watermark = greatest - OUT_OF_ORDERNESS
      greatest = Math.max(greatest, sale.at)
      seen = seen.filter(sighting => greatest - sighting.greatest <= HORIZON)
      const isDuplicate = seen.some(({ id }) => id === sale.id)
      seen = [...seen.filter(({ id }) => id !== sale.id), { id: sale.id, greatest }].slice(-MAX_IDS)
      outcome.counts[isDuplicate ? 'duplicate' : 'accepted']++
      if (!isDuplicate) for (const name of Object.keys(WINDOWS)) accept(outcome, name, sale, offset, watermark)
    }
    outcome.watermarks.push(greatest - OUT_OF_ORDERNESS)
  })
  return outcome
}

function accept(outcome: Outcome, name: string, sale: Sale, offset: number, watermark: number): void {
  const window = WINDOWS[name]!
  const missed: number[] = []
  for (const start of startsOf(window, sale.at)) {
    if (window !== null && start + window[0] + LATENESS <= watermark) missed.push(start)
    else if (name === 'sizes') addSizes(outcome, start, sale)
    else add(outcome, name, `${name}|${start}|${name === 'sliding' ? '' : sale.store}`, sale)
  }
  if (missed.length > 0) outcome.late.set(`${name}|${offset}`, missed)
}

/** Tries every possible start, so that there is no arithmetic to get wrong. */
function startsOf(window: [size: number, slide: number, offset: number] | null, at: number): number[] {
  if (window === null) return [Number.NEGATIVE_INFINITY]
  const [size, slide, offset] = window
  const starts: number[] = []
  for (let start = offset - 10 * size; start <= at; start += slide)
    if (start <= at && at < start + size) starts.push(start)
  return starts
}

/** Each order counts once for each quantity in it. */
function addSizes({ rows }: Outcome, start: number, { lines }: Sale): void {
  for (const quantity of new Set(lines.map(line => line.quantity))) {
    const key = `sizes|${start}|${quantity}`
    rows.set(key, [String(Number(rows.get(key)?.[0] ?? 0) + 1)])
  }
}

function add(outcome: Outcome, name: string, key: string, { lines, total }: Sale): void {
  const before = outcome.rows.get(key)
  const prices = lines.map(priceOf)
  const sum = (values: Big[]) => values.reduce((a, b) => a.plus(b), Big(0))
  const plus = (column: number, value: Big) => Big(before?.[column] ?? 0).plus(value)
  const among = (column: number) => [...(before ? [Big(before[column]!)] : []), ...prices].sort((a, b) => a.cmp(b))
  const amounts = lines.map((line, i) => prices[i]!.times(line.quantity))
  const tenths = (value: Big) => value.round(1, Big.roundHalfEven)
  const columns = {
    tumbling: () => [
      ...[plus(0, Big(lines.length)), plus(1, Big(1)), plus(2, sum(amounts)), among(3)[0]!, among(4).at(-1)!],
      ...[plus(5, sum(amounts.map(amount => amount.round(2, Big.roundHalfEven)))), plus(6, sum(prices))],
      // The least exact price, rounded once: the same as the least rounded price.
      ...[plus(7, Big(lines.length)), tenths(among(3)[0]!)],
      ...[plus(9, Big(total)), plus(10, Big(total)), plus(11, Big(1)), plus(12, Big(total).times(lines.length))],
    ],
    sliding: () => [plus(0, Big(lines.length))],
    ever: () => [plus(0, sum(prices))],
  }[name as 'tumbling']()
  outcome.rows.set(
    key,
    columns.map(value => value.toFixed().replace(/^-0$/, '0')),
  )
}

/** Computes the outcome with the engine, and adds up its commits like a store. */
function actual(log: Log, { batches, commits, moves, ...limits }: Cuts): Outcome {
  const outcome = emptyOutcome()
  let claim = firstClaim()
  let state = stateOf(claim)
  log.forEach((_, offset) => {
    const isLast = offset === log.length - 1
    if (offset % (batches + 1) !== batches && !isLast) return
    while (!read(state, encoded(log, state.nextOffset, offset + 1, batches), limits)) {
      claim = commit(outcome, state, claim)
      outcome.inside += claim.nextLine > 0 ? 1 : 0
      if (claim.nextLine > 0 && moves % 2 === 1) state = moved(log, claim)
    }
    if (offset % (commits + 1) === commits || isLast) claim = commit(outcome, state, claim)
    if (offset % (moves + 1) === moves) state = moved(log, claim)
  })
  return outcome
}

const stateOf = (claim: Claim) => new PartitionState(claim, () => compiled)

/** Returns false when a commit must make room. */
function read(state: PartitionState, data: Buffer, limits: Pick<Cuts, 'rows' | 'recordRows'> = {}): boolean {
  state.begin([])
  state.feed({ data, cut: null })
  const { rows = Number.POSITIVE_INFINITY, recordRows = Number.POSITIVE_INFINITY } = limits
  return state.process({ records: Number.POSITIVE_INFINITY, rows, recordRows })
}

/** Moves the partition to another worker: uncommitted work is lost, the ids are read again. */
function moved(log: Log, claim: Claim): PartitionState {
  const state = stateOf(claim)
  if (claim.restoreOffset < claim.nextOffset) read(state, encoded(log, claim.restoreOffset, claim.nextOffset, 1))
  expect(state.restoring).toBe(false)
  return state
}

/** Encodes the records from `from` to before `to`, in batches of `size` + 1. */
function encoded(log: Log, from: number, to: number, size: number): Buffer {
  const batches: Buffer[] = []
  for (let base = from; base < to; base += size + 1) {
    const sales = log.slice(base, Math.min(base + size + 1, to))
    const records = sales.map((sale, delta) => ({ delta, timestamp: 50_000, key: null, value: bytesOf(sale) }))
    batches.push(encodeBatch({ baseOffset: base, records }))
  }
  return Buffer.concat(batches)
}

function commit(outcome: Outcome, state: PartitionState, claim: Claim): Claim {
  const share = state.freeze()
  expect([share.commit.fromOffset, share.commit.fromLine]).toEqual([claim.nextOffset, claim.nextLine])
  for (const verdict of ['dead', 'duplicate', 'accepted'] as const)
    outcome.counts[verdict] += share.commit.counters[verdict]
  for (const event of share.late)
    outcome.late.set(`${compiled.aggregations[event.aggregation]!.name}|${event.offset}`, event.missed)
  for (const { aggregation, windowStart, keys, columns } of share.aggregates) {
    const { name, columns: specs } = compiled.aggregations[aggregation]!
    windowStart.forEach((start, row) => {
      const key = `${name}|${start}|${keys.map(column => column[row]).join()}`
      const before = outcome.rows.get(key)
      const after = specs.map(({ merge, scale }, c) => {
        const value = Big(String(columns[c]![row]!)).div(Big(10).pow(scale))
        if (!before) return value
        const old = Big(before[c]!)
        return merge === 'add' ? old.plus(value) : (merge === 'min') === value.lt(old) ? value : old
      })
      outcome.rows.set(
        key,
        after.map(value => value.toFixed()),
      )
    })
  }
  outcome.watermarks.push(state.watermark)
  const { nextOffset, nextLine, restoreOffset, restoreMaxEventTime, maxEventTime }: PartitionCommit = share.commit
  return { ...claim, nextOffset, nextLine, restoreOffset, restoreMaxEventTime, maxEventTime }
}

const sorted = ({ rows, late, counts }: Outcome) => ({
  rows: [...rows].sort(([a], [b]) => (a < b ? -1 : 1)),
  late: [...late].sort(([a], [b]) => (a < b ? -1 : 1)),
  counts,
})

describe('a partition (sections 5 to 7)', () => {
  it('returns the rows, verdicts and watermark of the contract for any batches, commits and moves', () => {
    const totals = { late: 0, duplicate: 0, dead: 0, rows: 0, inside: 0 }
    check(
      fc.property(log, cuts, (log, cuts) => {
        const [outcome, model] = [actual(log, cuts), expected(log)]
        expect(sorted(outcome)).toEqual(sorted(model))
        expect(outcome.watermarks.at(-1)).toBe(model.watermarks.at(-1))
        totals.late += model.late.size
        totals.duplicate += model.counts.duplicate
        totals.dead += model.counts.dead
        totals.rows += model.rows.size
        totals.inside += outcome.inside
      }),
      { numRuns: 500 },
    )
    for (const [what, count] of Object.entries(totals)) expect(count, what).toBeGreaterThan(100)
  })

  it('adds amounts exactly for a sum and an average that round once', () => {
    const at = (id: number, mills: number): Sale => ({
      id,
      at: 0,
      store: 'a',
      total: 5,
      lines: [{ quantity: 1, mills }],
    })
    const { rows } = actual([at(1, 15_552), at(2, 36_116)], { batches: 0, commits: 0, moves: 99 })
    const [, , revenue, , , rough, meanSum] = rows.get('tumbling|-7000|a')!
    expect([revenue, rough, meanSum]).toEqual(['51.668', '51.67', '51.668'])
  })

  const at = (at: number, id: number): Sale => ({
    id,
    at,
    store: 'a',
    total: 5,
    lines: [{ quantity: 1, mills: 1000 }],
  })

  it('stops where its records or rows use the room, and continues there', () => {
    const state = stateOf(firstClaim())
    const log = [at(0, 1), at(0, 2), at(0, 3), at(0, 4)]
    state.begin([])
    state.feed({ data: encoded(log, 0, 4, 3), cut: null })
    const rowsOfOne = 6
    expect(state.process({ records: 1, rows: Number.POSITIVE_INFINITY, recordRows: 99 })).toBe(false)
    expect([state.nextOffset, state.pendingRows]).toEqual([1, rowsOfOne])
    state.freeze()
    expect(state.process({ records: 9, rows: 1, recordRows: 99 })).toBe(false)
    expect([state.nextOffset, state.pendingRows]).toEqual([2, rowsOfOne])
    expect(state.process()).toBe(true)
    expect(state.nextOffset).toBe(4)
  })

  it('commits inside a record with the event times and ids as they were before it', () => {
    const line = { quantity: 1, mills: 1000 }
    const log = [at(0, 1), { ...at(30_000, 2), lines: [line, line, line] }]
    const state = stateOf(firstClaim())
    state.begin([])
    state.feed({ data: encoded(log, 0, 2, 1), cut: null })
    expect(state.process({ records: 9, rows: 9, recordRows: 8 })).toBe(false)
    const inside = state.freeze()
    expect(inside.commit).toMatchObject({ nextOffset: 1, nextLine: 1, counters: { records: 1, accepted: 1 } })
    expect(inside.commit).toMatchObject({ maxEventTime: 0, restoreOffset: 0, restoreMaxEventTime: 0 })
    expect(state.process()).toBe(true)
    const rest = state.freeze()
    expect(rest.commit).toMatchObject({ fromOffset: 1, fromLine: 1, nextOffset: 2, nextLine: 0 })
    expect(rest.commit).toMatchObject({ counters: { records: 1, accepted: 1 }, maxEventTime: 30_000, restoreOffset: 1 })
  })

  it('judges each record by the watermark before it, even within one batch', () => {
    const log = [at(0, 1), at(30_000, 2), at(1, 3)]
    const outcome = actual(log, { batches: 3, commits: 0, moves: 99 })
    expect(outcome.late.get('tumbling|2')).toEqual([-7000])
    expect(outcome.late.size).toBe(2)
    expect(outcome.rows.get('ever|-Infinity|a')).toEqual(['3'])
  })

  it('declares a record dead that is too large, with the size and hash of its whole value', () => {
    const state = stateOf(firstClaim())
    const cut = { valueBytes: 99_000_000, valueSha256: 'hash' }
    state.begin([])
    state.feed({
      data: encoded([{ id: 1, at: 5000, store: 'a', total: 5, lines: [{ quantity: 1, mills: 1 }] }], 0, 1, 1),
      cut,
    })
    state.process()
    const { dead, commit } = state.freeze()
    expect(dead).toMatchObject([{ reason: 'too_large', field: null, payloadBytes: 99_000_000, payloadSha256: 'hash' }])
    expect(commit).toMatchObject({ nextOffset: 1, maxEventTime: null, counters: { records: 1, dead: 1, accepted: 0 } })
  })
})
