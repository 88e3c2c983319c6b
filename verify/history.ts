/** Which generation of the spec judged which stretch of each partition. */
import { isDeepStrictEqual } from 'node:util'
import type { Generation, History } from './recompute.ts'
import { readSpec, type Spec, type WrittenDocument } from './spec.ts'
import type { Tables } from './tables.ts'

/** Reads the history from the tables; what contradicts the file is added to `problems`. */
export async function readHistory(tables: Tables, spec: Spec, problems: string[]): Promise<History> {
  const generations = readGenerations(await tables.specs(), spec, problems)
  const latest = generations.at(-1)!
  const stretches: History['stretches'] = new Map()
  for (const { partition, from, generation } of await tables.specHistory()) {
    const known = generations.find(({ number }) => number === generation)
    if (!known) problems.push(`spec_history names generation ${generation}, which is not in specs`)
    if (!stretches.has(partition)) stretches.set(partition, [])
    stretches.get(partition)!.push({ from, generation: known ?? latest })
  }
  const { topicId } = await tables.pipeline()
  const introduced = new Map((await tables.introductions()).map(({ name, generation }) => [name, generation]))
  for (const { name } of spec.rules.aggregations) {
    if (!introduced.has(name)) problems.push(`aggregation ${name} is not in table aggregations`)
  }
  const rejected = new Map(
    (await tables.storeRejected()).map(({ partition, offset, field }) => [`${partition}/${offset}`, field]),
  )
  return { stretches, generations, introduced, topicId, rejected }
}

/** The shortest allowed lateness that an aggregation ever had, in milliseconds: no row may be final before. */
export function shortestLateness({ generations }: History, aggregation: string): number {
  const all = generations.flatMap(({ rules }) => rules.aggregations).filter(({ name }) => name === aggregation)
  return Math.min(...all.map(({ allowedLateness }) => allowedLateness))
}

/** The file stands for the latest generation, so that it is not the engine's own record of it that is believed. */
function readGenerations(
  specs: { generation: number; document: unknown }[],
  spec: Spec,
  problems: string[],
): Generation[] {
  const generations = specs.map(({ generation, document }) => ({
    number: generation,
    rules: readSpec(document as WrittenDocument).rules,
  }))
  const latest = generations.pop()
  if (!latest) problems.push('table specs is empty')
  else if (!isDeepStrictEqual(latest.rules, spec.rules)) {
    problems.push(`generation ${latest.number} in table specs is not the spec that was given`)
  }
  return [...generations, { number: latest?.number ?? 1, rules: spec.rules }]
}
