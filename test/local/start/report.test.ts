import { describe, expect, it } from 'vitest'
import { buildReport, exitCodeOf, type Outcome } from '#local/start/report.ts'
import type { Verdict } from '#verify/verify.ts'

const VERDICT: Verdict = {
  ok: true,
  sent: 2203,
  acknowledged: 2200,
  records: 2200,
  aggregated: 2100,
  late: 40,
  latePerAggregation: { sales_summary: { late: 40, partly: 3 } },
  deadLettered: 35,
  duplicates: 25,
  storeRejected: 0,
  lostFromLog: 0,
  foreign: 0,
  lost: 0,
  doubled: 0,
  rows: { compared: 26, missing: 0, extra: 0, unequal: 0 },
  perTable: {},
  finalWindows: 13,
  delayMs: { p50: 80, p90: 120, p99: 300, max: 400, samples: 2000, neverCommitted: 0 },
  problems: [],
}

const OUTCOME: Outcome = {
  pipeline: 'default/ecommerce',
  startedAt: Date.parse('2026-11-23T17:00:00Z'),
  endedAt: Date.parse('2026-11-23T17:00:21.500Z'),
  verdict: VERDICT,
  drained: true,
  load: { offeredRate: 100, sent: 2000, restarts: 0, report: { achievedRate: 99.8 } as never },
  workerRestarts: 1,
  usage: { 'worker-1': { cpuSeconds: 2, peakMemoryBytes: 100 } },
  environment: { node: 'v24', platform: 'linux-x64', cpus: 2 },
  logs: '.local/shop/logs',
}

const exitCode = (change: Partial<Outcome>, verdict: Partial<Verdict> = {}) =>
  exitCodeOf(buildReport({ ...OUTCOME, ...change, verdict: { ...VERDICT, ...verdict } }))

describe('the report of a bounded run', () => {
  it('contains the verdict, the rates and the processes', () => {
    expect(buildReport(OUTCOME)).toMatchObject({
      ok: true,
      pipeline: 'default/ecommerce',
      startedAt: '2026-11-23T17:00:00.000Z',
      seconds: 21.5,
      sent: 2203,
      sentInThisRun: 2000,
      aggregated: 2100,
      late: 40,
      latePerAggregation: VERDICT.latePerAggregation,
      deadLettered: 35,
      duplicates: 25,
      lost: 0,
      doubled: 0,
      rows: VERDICT.rows,
      finalWindows: 13,
      delayMs: VERDICT.delayMs,
      offeredRate: 100,
      achievedRate: 99.8,
      workerRestarts: 1,
      processes: OUTCOME.usage,
      environment: OUTCOME.environment,
      problems: [],
    })
  })

  it('reports no achieved rate when the load generator was restarted', () => {
    const load = { ...OUTCOME.load!, restarts: 1 }
    expect(buildReport({ ...OUTCOME, load }).achievedRate).toBeNull()
  })
})

describe('the exit code', () => {
  it('exits with code 0 when everything is correct, also after worker restarts and without load', () => {
    expect(exitCode({})).toBe(0)
    expect(exitCode({ workerRestarts: 3 })).toBe(0)
    expect(exitCode({ load: null })).toBe(0)
  })

  it('exits with code 1 when the verifier found a problem', () => {
    expect(exitCode({}, { ok: false })).toBe(1)
    expect(exitCode({}, { ok: false, problems: ['the schema belongs to somebody else'] })).toBe(1)
    expect(exitCode({}, { lost: 1 })).toBe(1)
    expect(exitCode({}, { doubled: 1 })).toBe(1)
  })

  it('exits with code 1 when nothing was compared', () => {
    expect(exitCode({}, { rows: { compared: 0, missing: 0, extra: 0, unequal: 0 } })).toBe(1)
  })

  it('exits with code 1 when the pipeline did not drain, or when nothing was sent', () => {
    expect(exitCode({ drained: false })).toBe(1)
    expect(exitCode({ load: { ...OUTCOME.load!, sent: 0 } })).toBe(1)
    expect(exitCode({ load: { ...OUTCOME.load!, sent: 0, offeredRate: 0 } })).toBe(0)
  })
})
