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

/** Returns each measure's value for a line, exact or with `roundEach` rounded half-even; null for counts. */
export function contributions(measures: Measure[], line: Line): (Big | null)[] {
  return measures.map(({ of, scale, roundEach }) => {
    if (!of) return null
    const value = evaluate(of, field => line[field] as Big)
    return roundEach ? value.round(scale, Big.roundHalfEven) : value
  })
}

/** Adds a line. `first`: true for the first line of its record in this row; measures per event take only that one. */
export function addLine(totals: Totals, measures: Measure[], values: (Big | null)[], first: boolean): void {
  measures.forEach((measure, index) => {
    if (measure.perEvent && !first) return
    const total = totals[index]!
    total.count++
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
    const shown = quotient(value!, measure.op === 'average' ? count : 1, measure.scale)
    return [
      ...(measure.hasExactSum ? [canonical(value)] : []),
      ...(measure.op === 'average' ? [String(count)] : []),
      shown,
    ]
  })
}

/** Returns the quotient, rounded half-even to `scale` decimals. */
function quotient(sum: Big, count: number, scale: number): string {
  // big.js keeps the scale and rounding of divisions in the constructor, so this division needs a separate one.
  const Rounded = Big()
  Rounded.DP = scale
  Rounded.RM = Big.roundHalfEven
  return new Rounded(sum).div(count).toFixed().replace(/^-0$/, '0')
}
