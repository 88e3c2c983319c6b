import { expect, it } from 'vitest'
import { compileSpec } from '#pipeline/compiled-spec.ts'
import { parsePipeline } from '#pipeline/parse.ts'
import { exactFaultFinder } from '#producer/serve/exact-checks.ts'

const PIPELINE = `
apiVersion: salespipeline.dev/v1alpha1
kind: SalesPipeline
metadata: { name: dates }
spec:
  source: { topic: sales }
  event: { time: { path: at, notBefore: "0001-01-01T00:00:00Z" }, fields: [] }
  aggregations: [{ name: totals, groupBy: [], measures: [{ name: sales, op: count }] }]
`
const faultsOf = exactFaultFinder(compileSpec(parsePipeline(PIPELINE).spec))
const isAccepted = (at: string) => [...faultsOf({ at }, Number.MAX_SAFE_INTEGER)].length === 0

const padded = (number: number, digits = 2) => String(number).padStart(digits, '0')
/** JavaScript's calendar moves a date that does not exist to another one. */
function exists(date: string): boolean {
  const time = new Date(`${date}T00:00:00Z`)
  return !Number.isNaN(time.getTime()) && time.toISOString().startsWith(date)
}

it('accepts exactly the dates that exist', () => {
  for (const year of [1, 4, 100, 400, 1900, 1970, 2000, 2023, 2024, 2100, 9999])
    for (let month = 0; month <= 13; month++)
      for (let day = 0; day <= 32; day++) {
        const date = `${padded(year, 4)}-${padded(month)}-${padded(day)}`
        expect([date, isAccepted(`${date}T12:30:59.5Z`)]).toEqual([date, exists(date)])
      }
  expect([exists('2000-02-29'), exists('1900-02-29')]).toEqual([true, false])
})

it.each(['24:00:00Z', '23:60:00Z', '23:59:60Z', '12:00:00+24:00', '12:00:00+01:60', '12:00:00'])(
  'refuses the time of day %s',
  clock => {
    expect(isAccepted('2026-01-31T12:00:00Z')).toBe(true)
    expect(isAccepted(`2026-01-31T${clock}`)).toBe(false)
  },
)
