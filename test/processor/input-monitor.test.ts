import { beforeEach, describe, expect, it } from 'vitest'
import { compileSpec } from '#pipeline/compiled-spec.ts'
import { checkPipeline } from '#pipeline/parse.ts'
import type { DeadReason } from '#processor/core/dead-reasons.ts'
import type { FarBehind } from '#processor/core/far-behind.ts'
import type { Share } from '#processor/core/pending.ts'
import { Support } from '#processor/core/support.ts'
import { InputMonitor } from '#processor/input-monitor.ts'
import { documentWith } from '#test/pipeline/documents.ts'

const compiled = compileSpec(checkPipeline(documentWith({})).spec)
const SECOND = 1000

let raised: Record<string, string> = {}
let monitor: InputMonitor
beforeEach(() => {
  raised = {}
  monitor = new InputMonitor(compiled, {
    condition(code, message) {
      if (message === null) delete raised[code]
      else raised[code] = message
    },
  })
})

type Input = {
  records: number
  dead?: [DeadReason, string | null, detail?: string][]
  late?: number
  farBehind?: FarBehind
}

function shareOf({ records, dead = [], late = 0, farBehind }: Input): Share {
  return {
    commit: { counters: { records, accepted: records - dead.length }, aggregations: [{ late }] },
    dead: dead.map(([reason, field, detail = null]) => ({ reason, field, detail })),
    farBehind: farBehind ?? null,
    support: new Support(),
    lead: null,
  } as unknown as Share
}

const note = (input: Input, at = 0) => monitor.note([shareOf(input)], at)
const times = <T>(count: number, value: T): T[] => Array(count).fill(value)

describe('InputMonitor', () => {
  it('reports the most frequent reason of dead letters, with what to change', () => {
    note({ records: 40, dead: [...times(20, ['too_many_decimals', 'amount'] as const), ['not_json', null]] as never })
    note({ records: 35, dead: times(34, ['too_many_decimals', 'amount', 'scale is 2; set scale']) }, SECOND)
    monitor.report(2 * SECOND)
    expect(raised).toEqual({
      ManyDeadLetters:
        '54 of 75 records in the last minute: too_many_decimals at amount, such as: scale is 2; set scale',
    })
  })

  it('counts the lines of records together', () => {
    note({ records: 9, dead: [1, 2, 12].map(i => ['bad_number', `order.lines[${i}].price`]) })
    monitor.report(SECOND)
    expect(raised.ManyDeadLetters).toMatch(
      /^3 of 9 records in the last minute: bad_number at order\.lines\[\]\.price; look at the payloads/,
    )
  })

  it('reports events that are late for an aggregation', () => {
    note({ records: 10, late: 4 })
    monitor.report(SECOND)
    expect(raised.ManyLateEvents).toMatch(
      /^4 of 10 events in the last minute: late for aggregation by_store; raise its/,
    )
  })

  it('reports no condition for single faults', () => {
    note({ records: 100, dead: times(9, ['not_json', null]), late: 9 })
    note({ records: 4, dead: times(2, ['tombstone', null]) })
    monitor.report(SECOND)
    expect(raised).toEqual({})
  })

  it('clears a condition when the last minute has no such records', () => {
    const farBehind = { records: 1, partition: 3, offset: 7, eventTime: 0, recordTimestamp: Date.UTC(2026, 0) }
    note({ records: 5, dead: times(4, ['bad_time', 'at']), late: 4, farBehind })
    monitor.report(59 * SECOND)
    expect(Object.keys(raised).sort()).toEqual(['EventTimesFarBehind', 'ManyDeadLetters', 'ManyLateEvents'])
    expect(raised.EventTimesFarBehind).toMatch(
      /1970-01-01T00:00:00.000Z at partition 3 offset 7\. Correct the producer, or/,
    )
    monitor.report(61 * SECOND)
    expect(raised).toEqual({})
  })
})
