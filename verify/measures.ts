/** Measures of one row, summed up line by line in exact numbers. */
import Big from 'big.js'
import { canonical, type Line } from './decode.ts'
import { evaluate } from './expression.ts'
import type { Cell } from './rows.ts'
import type { Measure } from './spec.ts'

/** Of one measure in one row: how many were counted, and the sum or extreme so far. */
interface Total {
  count: number
  value: Big | null
}

export type Totals = Total[]

export function emptyTotals(measures: Measure[]): Totals {
  return measures.map(() => ({ count: 0, value: null }))
}

/** What each measure takes from a line, rounded half-even; null for counts. */
export function contributions(measures: Measure[], line: Line): (Big | null)[] {
  return measures.map(({ of, scale }) =>
    of ? evaluate(of, field => line[field] as Big).round(scale, Big.roundHalfEven) : null,
  )
}

/** Adds a line. `first`: whether it is the first line of its record in this row, for `count: events`. */
export function addLine(totals: Totals, measures: Measure[], taken: (Big | null)[], first: boolean): void {
  measures.forEach((measure, index) => {
    const total = totals[index]!
    if (!measure.countsEvents || first) total.count++
    if (taken[index]) total.value = total.value ? combine(measure, total.value, taken[index]) : taken[index]
  })
}

function combine({ op }: Measure, before: Big, taken: Big): Big {
  if (op === 'min') return taken.lt(before) ? taken : before
  if (op === 'max') return taken.gt(before) ? taken : before
  return before.plus(taken)
}

/** Cells of the measures, in the order of their columns. */
export function totalCells(totals: Totals, measures: Measure[]): Cell[] {
  return measures.flatMap((measure, index) => {
    const { count, value } = totals[index]!
    if (measure.op === 'count') return [String(count)]
    if (measure.op !== 'average') return [canonical(value)]
    return [canonical(value), String(count), average(value!, count, measure.scale)]
  })
}

function average(sum: Big, count: number, scale: number): string {
  // A constructor of its own: big.js keeps the scale and rounding of divisions there.
  const Rounded = Big()
  Rounded.DP = scale
  Rounded.RM = Big.roundHalfEven
  return new Rounded(sum).div(count).toFixed().replace(/^-0$/, '0')
}
