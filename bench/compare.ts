/** Repeats a measurement, alternates it with another checkout, and prints medians, spreads and ratios. */
import { resolve } from 'node:path'

export const ROOT = resolve(import.meta.dirname, '..')

export type Figures<Name extends string> = Record<Name, number>
export type Spread = { median: number; min: number; max: number }

/** The measured checkout and, with --compare, the other one; run by run, and in the same minutes. */
export type Comparison<Name extends string> = { runs: Figures<Name>[]; others: Figures<Name>[] }

/** `measure` gets the directory of the checkout to measure. The order changes with each run: the first may pay for both. */
export async function alternate<Name extends string>(
  runs: number,
  compare: string | undefined,
  measure: (tree: string, title: string) => Promise<Figures<Name>>,
): Promise<Comparison<Name>> {
  const result: Comparison<Name> = { runs: [], others: [] }
  for (let i = 0; i < runs; i++) {
    const own = async () => result.runs.push(await measure(ROOT, `run ${i + 1}`))
    const other = async () => {
      if (compare !== undefined) result.others.push(await measure(resolve(compare), `run ${i + 1} of ${compare}`))
    }
    for (const step of i % 2 === 0 ? [own, other] : [other, own]) await step()
  }
  return result
}

/** Prints the figures and the ratios to the other checkout. Returns the summary of the figures. */
export function report<Name extends string>(
  { runs, others }: Comparison<Name>,
  names: readonly Name[],
  compare: string | undefined,
): Record<Name, Spread> {
  const summary = summarize(names, name => runs.map(run => run[name]))
  console.table(summary)
  if (compare !== undefined) {
    console.log(`ratio to ${compare}, run by run:`)
    console.table(summarize(names, name => runs.map((run, i) => run[name] / others[i]![name])))
  }
  return summary
}

function summarize<Name extends string>(names: readonly Name[], figuresOf: (name: Name) => number[]) {
  return Object.fromEntries(names.map(name => [name, spread(figuresOf(name))])) as Record<Name, Spread>
}

function spread(figures: number[]): Spread {
  const sorted = [...figures].sort((a, b) => a - b)
  const round = (x: number) => Math.round(x * 100) / 100
  return { median: round(sorted[Math.floor(sorted.length / 2)]!), min: round(sorted[0]!), max: round(sorted.at(-1)!) }
}
