import { expect } from 'vitest'
import type { Verdict } from '#verify/verify.ts'

/** Expects that nothing is lost or doubled, that every row is equal, and that rows of every kind were compared. */
export function expectExact(verdict: Verdict): void {
  expect(verdict.problems).toEqual([])
  expect(verdict).toMatchObject({ ok: true, lost: 0, doubled: 0 })
  expect(verdict.rows).toMatchObject({ missing: 0, extra: 0, unequal: 0 })
  expect(verdict.rows.compared).toBeGreaterThan(100)
  for (const verdictOf of ['late', 'deadLettered', 'duplicates'] as const)
    expect(verdict[verdictOf], verdictOf).toBeGreaterThan(0)
}
