/** Compares the rows of a store with the expected rows, key by key. */
import { type Cell, rowText, type Table } from './rows.ts'
import type { Aggregation } from './spec.ts'

export interface Comparison {
  /** Rows found under a key that was expected. */
  compared: number
  missing: number
  extra: number
  unequal: number
  /** Sales (lines in windows) that are missing from the rows, and sales that are counted too often. */
  lost: number
  doubled: number
  /** The first few differences of each kind, as text. */
  examples: string[]
}

export interface ComparisonRules {
  /** Index of the value that holds the number of lines; without it, a wrong row counts as one line. */
  linesAt?: number | null
  /** Returns true when retention may already have removed an expected row. */
  mayBeAbsent?: (key: Cell[], values: Cell[]) => boolean
  /** Returns true when values that differ as text are nevertheless correct. */
  equivalent?: (expected: Cell[], found: Cell[]) => boolean
}

const EXAMPLES_OF_A_KIND = 3

/** Compares the found rows with `table`, and deletes every row that was found from `table`. */
export async function compareRows(
  table: Table,
  found: AsyncIterable<{ key: string; values: string }>,
  rules: ComparisonRules = {},
): Promise<Comparison> {
  const result = { compared: 0, missing: 0, extra: 0, unequal: 0, lost: 0, doubled: 0, examples: [] }
  for await (const { key, values } of found) {
    const expected = table.rows.get(key)
    if (expected === undefined) noteExtra(result, table, key, values, rules)
    else {
      result.compared++
      if (!isEqual(expected, values, rules)) noteUnequal(result, table, key, expected, values, rules)
      // A second row under the same key then counts as extra.
      table.rows.delete(key)
    }
  }
  for (const [key, values] of table.rows) {
    if (!rules.mayBeAbsent?.(JSON.parse(key), JSON.parse(values))) noteMissing(result, table, key, values, rules)
  }
  return result
}

function isEqual(expected: string, found: string, { equivalent }: ComparisonRules): boolean {
  return expected === found || equivalent?.(JSON.parse(expected), JSON.parse(found)) === true
}

function noteMissing(result: Comparison, table: Table, key: string, values: string, rules: ComparisonRules): void {
  result.lost += lines(values, rules) ?? 1
  if (++result.missing > EXAMPLES_OF_A_KIND) return
  result.examples.push(`missing ${describe(table.key, key)}: expected ${describe(table.values, values)}`)
}

function noteExtra(result: Comparison, table: Table, key: string, values: string, rules: ComparisonRules): void {
  result.doubled += lines(values, rules) ?? 1
  if (++result.extra > EXAMPLES_OF_A_KIND) return
  result.examples.push(`extra ${describe(table.key, key)}: found ${describe(table.values, values)}`)
}

function noteUnequal(
  result: Comparison,
  table: Table,
  key: string,
  expected: string,
  found: string,
  rules: ComparisonRules,
): void {
  const tooFew = (lines(expected, rules) ?? 1) - (lines(found, rules) ?? 0)
  result.lost += Math.max(0, tooFew)
  result.doubled += Math.max(0, -tooFew)
  if (++result.unequal > EXAMPLES_OF_A_KIND) return
  result.examples.push(`unequal ${describe(table.key, key)}: ${differences(table.values, expected, found)}`)
}

function lines(values: string, { linesAt }: ComparisonRules): number | null {
  return linesAt === undefined || linesAt === null ? null : Number(JSON.parse(values)[linesAt])
}

/** Returns the index of the column that counts the lines of a row; null when no measure counts them. */
export function linesColumn({ measures }: Aggregation, columns: string[]): number | null {
  const count = measures.find(({ op, perEvent }) => op === 'count' && !perEvent)
  if (count) return columns.indexOf(count.name)
  const average = measures.find(({ op, perEvent }) => op === 'average' && !perEvent)
  return average ? columns.indexOf(`${average.name}_count`) : null
}

function differences(columns: string[], expected: string, found: string): string {
  const [expectedCells, foundCells] = [JSON.parse(expected), JSON.parse(found)] as [Cell[], Cell[]]
  return columns
    .map((column, index) => ({ column, expected: expectedCells[index]!, found: foundCells[index]! }))
    .filter(({ expected, found }) => rowText([expected]) !== rowText([found]))
    .map(({ column, expected, found }) => `${column} expected ${show(column, expected)}, found ${show(column, found)}`)
    .join('; ')
}

function describe(columns: string[], cells: string): string {
  const values = JSON.parse(cells) as Cell[]
  return columns.map((column, index) => `${column}=${show(column, values[index]!)}`).join(' ')
}

const TIMES = ['window_start', 'window_end', 'event_time', 'missed']

function show(column: string, cell: Cell): string {
  if (Array.isArray(cell)) return `[${cell.map(item => show(column, item)).join(' ')}]`
  if (typeof cell === 'number' && TIMES.includes(column)) return new Date(cell).toISOString()
  return typeof cell === 'string' ? cell : String(cell)
}
