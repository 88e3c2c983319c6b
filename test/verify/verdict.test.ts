import { describe, expect, it } from 'vitest'
import { HOSTILE, UNSAFE } from '#test/support/hostile.ts'
import { renderVerdict, type Verdict } from '#verify/verdict.ts'

const rows = { compared: 1, missing: 0, extra: 0, unequal: 1 }
const VERDICT: Verdict = {
  ok: false,
  sent: null,
  acknowledged: null,
  records: 1,
  aggregated: 1,
  late: 0,
  latePerAggregation: { summary: { late: 0, partly: 0 } },
  deadLettered: 0,
  duplicates: 0,
  storeRejected: 0,
  lostFromLog: null,
  foreign: null,
  lost: 0,
  doubled: 0,
  rows,
  perTable: { summary: { ...rows, lost: 0, doubled: 0, examples: [`unequal category=books${HOSTILE}`] } },
  finalWindows: 0,
  delayMs: null,
  problems: [`PostgreSQL says ${HOSTILE}`],
}

describe('the verdict as text', () => {
  it('escapes control characters of data, so that each example and each problem stays one line', () => {
    const text = renderVerdict(VERDICT)
    const lines = text.split('\n')
    expect(lines.filter(line => UNSAFE.test(line))).toEqual([])
    expect(lines.filter(line => line.includes('\\u001b[2J'))).toHaveLength(2)
    expect(lines).toHaveLength(renderVerdict({ ...VERDICT, problems: ['x'] }).split('\n').length)
  })
})
