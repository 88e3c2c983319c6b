/** The engine and the verifier share no code, but decide alike which events are late when several sources must agree. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compileSpec } from '#pipeline/compiled-spec.ts'
import { checkPipeline } from '#pipeline/parse.ts'
import type { Claim } from '#processor/core/claim.ts'
import { PartitionState } from '#processor/core/partition.ts'
import { firstClaim } from '#test/support/claim.ts'
import { check } from '#test/support/properties.ts'
import { encodeBatch } from '#test/support/record-batch.ts'
import { Recomputation } from '#verify/recompute.ts'
import { readSpec, type WrittenDocument } from '#verify/spec.ts'
import { BASE, historyOf, record, specOf } from './support.ts'

type Sources = { field: string; atLeast?: number } | undefined

const documentOf = (sources: Sources) => ({
  apiVersion: 'salespipeline.dev/v1alpha1',
  kind: 'SalesPipeline',
  metadata: { name: 'shop' },
  spec: {
    ...BASE,
    event: {
      ...BASE.event,
      fields: [
        ...BASE.event.fields!,
        { name: 'store', optional: true },
        { name: 'till', type: 'number', optional: true },
      ],
    },
    window: { size: '10s' },
    watermark: { outOfOrderness: '2s', maxFutureSkew: '1d', ...(sources && { sources }) },
  },
})

const SETTINGS: Sources[] = [undefined, { field: 'store' }, { field: 'store', atLeast: 3 }, { field: 'till' }]
const compiled = SETTINGS.map(sources => compileSpec(checkPipeline(documentOf(sources)).spec))
const read = SETTINGS.map(sources => readSpec(documentOf(sources) as unknown as WrittenDocument))

const sale = fc.record(
  {
    at: fc.integer({ min: 0, max: 60_000 }),
    store: fc.constantFrom('a', 'b', 'c', 'd'),
    till: fc.constantFrom(1, 1.0, 2, '3'),
  },
  { requiredKeys: ['at'] },
)
const value = fc.oneof({ weight: 9, arbitrary: sale.map(sale => JSON.stringify(sale)) }, fc.constant('no JSON'))
const history = fc.array(fc.record({ from: fc.nat(50), setting: fc.nat(SETTINGS.length - 1) }), {
  minLength: 1,
  maxLength: 4,
})

/** Entries in order from offset 0 on. Of two at one offset, the later one replaces the other, as in the spec history. */
const entriesOf = (drawn: { from: number; setting: number }[]) => {
  const first = { ...drawn[0]!, from: 0 }
  const sorted = [first, ...drawn.slice(1).sort((a, b) => a.from - b.from)]
  return sorted.filter(({ from }, i) => sorted[i + 1]?.from !== from)
}

type Entries = ReturnType<typeof entriesOf>

/** Counts the records with a claim for each entry and after each `every` records. Returns the late ones. */
function lateInEngine(values: string[], entries: Entries, every: number): { late: number[]; agreed: number | null } {
  const late: number[] = []
  let claim: Claim = firstClaim()
  while (claim.nextOffset < values.length) {
    const from = claim.nextOffset
    const next = entries.find(entry => entry.from > from)?.from ?? Number.POSITIVE_INFINITY
    const until = Math.min(next, from + every, values.length)
    const { setting } = entries.findLast(entry => entry.from <= from)!
    const state = new PartitionState({ ...claim, restoreOffset: from }, () => compiled[setting]!)
    const records = values
      .slice(from, until)
      .map((text, delta) => ({ delta, timestamp: 0, key: null, value: Buffer.from(text) }))
    state.begin([])
    state.feed({ data: encodeBatch({ baseOffset: from, records }), cut: null })
    state.process()
    const share = state.freeze()
    late.push(...share.late.map(({ offset }) => offset))
    const { nextOffset, maxEventTime, sources, agreedTime } = share.commit
    claim = { ...claim, nextOffset, maxEventTime, sources }
    if (until === values.length) return { late, agreed: agreedTime }
  }
  return { late, agreed: null }
}

function lateInVerifier(values: string[], entries: Entries): { late: number[]; agreed: number | null } {
  const stretches = entries.map(({ from, setting }, i) => ({
    from,
    generation: { number: i + 1, rules: read[setting]!.rules },
    recorded: true,
  }))
  const generations = stretches.map(({ generation }) => generation)
  const recomputation = new Recomputation(
    read[0]!,
    historyOf(read[0]!, { stretches: new Map([[0, stretches]]), generations }),
  )
  values.forEach((text, offset) => {
    recomputation.add(record(offset, text))
  })
  const { time = null } = recomputation.partition(0).agreement ?? {}
  return {
    late: [...recomputation.late.keys()].map(key => JSON.parse(key)[1]),
    agreed: Number.isFinite(time) ? time : null,
  }
}

describe('several sources that must agree on the watermark', () => {
  it('make the same events late for the engine and for the verifier, through changes of the setting', () => {
    let late = 0
    check(
      fc.property(
        fc.array(value, { minLength: 2, maxLength: 50 }),
        history.map(entriesOf),
        fc.integer({ min: 1, max: 20 }),
        (values, entries, every) => {
          const reached = entries.filter(({ from }) => from < values.length)
          const found = lateInEngine(values, reached, every)
          expect(lateInVerifier(values, reached)).toEqual(found)
          late += found.late.length
        },
      ),
      { numRuns: 600 },
    )
    expect(late).toBeGreaterThan(300)
  })

  const at = (seconds: number, store?: string) => ({ at: seconds * 1000, ...(store && { store }) })
  const lateOf = (sales: object[], sources: Sources) =>
    lateInEngine(
      sales.map(sale => JSON.stringify(sale)),
      [{ from: 0, setting: SETTINGS.indexOf(sources) }],
      99,
    ).late

  it('make no event late for one clock that is ahead, however many events it sends', () => {
    const liar = Array.from({ length: 12 }, (_, i) => at(300 + i, 'a'))
    const honest = Array.from({ length: 20 }, (_, i) => at(i, i % 2 === 0 ? 'b' : 'c'))
    expect(lateOf([...liar, ...honest], SETTINGS[0])).toHaveLength(20)
    expect(lateOf([...liar, ...honest], SETTINGS[1])).toEqual([])
  })

  it('move the watermark when the second one arrives', () => {
    expect(lateOf([at(50, 'a'), at(0, 'b'), at(50, 'b'), at(0, 'c')], SETTINGS[1])).toEqual([3])
    expect(lateOf([at(50, 'a'), at(50), at(0, 'c')], SETTINGS[1])).toEqual([])
  })

  it('bound no missing event times from below', () => {
    const without = specOf({ aggregations: [{ ...BASE.aggregations[0]!, name: 'other' }] })
    const generations = [read[0]!, without, read[1]!].map(({ rules }, i) => ({ number: i + 1, rules }))
    const stretches = generations.map((generation, i) => ({ from: i, generation, recorded: true }))
    const recomputation = new Recomputation(
      read[1]!,
      historyOf(read[1]!, { stretches: new Map([[0, stretches]]), generations }),
    )
    for (const offset of [0, 1, 2]) recomputation.add(record(offset, at(100 + offset, 'a')))
    const isPartial = recomputation.partialWindows(read[1]!.rules.aggregations[0]!)
    expect([0, 50_000, 100_000, 110_000].map(isPartial)).toEqual([true, true, true, false])
  })
})
