/** Measures of one row, summed up line by line in exact numbers. */
import Big from 'big.js'
import { canonical, type Line } from './decode.ts'
import { evaluate } from './expression.ts'
import type { Cell } from './rows.ts'
import type { Measure } from './spec.ts'

/** Running total of one measure in one row: the count, and the sum or extreme so far. */
interface Total {
  count: number
  value: Big | null
}

export type Totals = Total[]

export function emptyTotals(measures: Measure[]): Totals {
  return measures.map(() => ({ count: 0, value: null }))
}

/** Returns each measure's value for a line, rounded half-even; null for counts. */
export function contributions(measures: Measure[], line: Line): (Big | null)[] {
  return measures.map(({ of, scale }) =>
    of ? evaluate(of, field => line[field] as Big).round(scale, Big.roundHalfEven) : null,
  )
}

/** Adds a line. `first`: true for the first line of its record in this row; counts of events count only that one. */
export function addLine(totals: Totals, measures: Measure[], values: (Big | null)[], first: boolean): void {
  measures.forEach((measure, index) => {
    const total = totals[index]!
    if (!measure.countsEvents || first) total.count++
    if (values[index]) total.value = total.value ? combine(measure, total.value, values[index]) : values[index]
  })
}

function combine({ op }: Measure, total: Big, value: Big): Big {
  if (op === 'min') return value.lt(total) ? value : total
  if (op === 'max') return value.gt(total) ? value : total
  return total.plus(value)
}

/** Returns the cells of the measures, in column order. */
export function totalCells(totals: Totals, measures: Measure[]): Cell[] {
  return measures.flatMap((measure, index) => {
    const { count, value } = totals[index]!
    if (measure.op === 'count') return [String(count)]
    if (measure.op !== 'average') return [canonical(value)]
    return [canonical(value), String(count), average(value!, count, measure.scale)]
  })
}

function average(sum: Big, count: number, scale: number): string {
  // big.js keeps the scale and rounding of divisions in the constructor, so this average needs a separate one.
  const Rounded = Big()
  Rounded.DP = scale
  Rounded.RM = Big.roundHalfEven
  return new Rounded(sum).div(count).toFixed().replace(/^-0$/, '0')
}
