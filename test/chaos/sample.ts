/** A sample report: two minutes with a fault every twenty seconds. */
import type { Kind } from '#chaos/fault-schedule.ts'
import type { Tick } from '#chaos/measure.ts'
import type { Outcome, Report } from '#chaos/report.ts'

const BOUNDS = [0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10, 30, 60, Infinity]
const START = Date.UTC(2026, 0, 1)
const FAULTS: [Kind, number][] = [
  ['worker', 15_000],
  ['kafka', 35_000],
  ['operator', 60_000],
  ['elasticsearch', 80_000],
  ['postgres', 100_000],
]
const delay = { p50: 0.05, p99: 2.1, max: 5, samples: 100 }
const FIGURES = { rate: 500, standstillMs: 500, worstStandstillMs: 2500, peakLag: 900, delay, projection: null }

export function fault(kind: Kind, at: number): Outcome {
  const window = { from: START + at, to: START + at + 7000 }
  const about = { round: 1, kind, target: `pod ${kind}-1`, window, bit: true, recoveredMs: 4000, failure: null }
  return { ...about, ...FIGURES }
}

/** Lag and delay are low except for 6 s after a fault. The lag is unknown for 2 s after the broker is deleted. */
function ticks(): Tick[] {
  const delayed = BOUNDS.map(() => 0)
  return Array.from({ length: 250 }, (_, i): Tick => {
    const at = i * 500
    const since = Math.min(...FAULTS.map(([, from]) => (at >= from ? at - from : Infinity)))
    const isHit = since < 6000
    BOUNDS.forEach((bound, b) => {
      delayed[b]! += isHit
        ? bound >= (since > 2000 ? 5 : 0.5)
          ? 250
          : 20
        : bound >= 0.1
          ? 250
          : bound >= 0.05
            ? 200
            : 0
    })
    const isUnknown = at >= 35_000 && at < 37_000
    const lag = isUnknown ? null : isHit ? Math.round(4000 * Math.exp(-Math.abs(since - 3000) / 1500)) : 20 + (i % 7)
    const projection = BOUNDS.map(() => 0)
    return { at: START + at, lag, pending: 0, records: { 0: i * 250 }, delay: [...delayed], projection, ready: 2 }
  })
}

export function report(): Report {
  const rows = { compared: 480, missing: 0, extra: 0, unequal: 0 }
  return {
    ok: true,
    context: 'kind-shop',
    namespace: 'shop',
    pipeline: 'ecommerce',
    seed: 1,
    problem: null,
    drained: false,
    startedAt: START,
    endedAt: START + 125_000,
    bounds: BOUNDS,
    ticks: ticks(),
    calm: { window: { from: START, to: START + 10_000 }, ...FIGURES },
    faults: FAULTS.map(([kind, at]) => fault(kind, at)),
    verdict: { ok: true, records: 62_500, lost: 0, doubled: 0, rows, problems: [] },
    leftBehind: ['node-2 is down'],
  }
}
