/** Reads which generation of the spec applied to which offsets of each partition. */
import { isDeepStrictEqual } from 'node:util'
import type { Generation, History } from './recompute.ts'
import { readSpec, type Spec, type WrittenDocument } from './spec.ts'
import type { Tables } from './tables.ts'

/** Resolves with the history in the tables. Adds its contradictions with the given spec to `problems`. */
export async function readHistory(tables: Tables, spec: Spec, problems: string[]): Promise<History> {
  const generations = readGenerations(await tables.specs(), spec, problems)
  const latest = generations.at(-1)!
  const stretches: History['stretches'] = new Map()
  for (const { partition, from, generation } of await tables.specHistory()) {
    const known = generations.find(({ number }) => number === generation)
    if (!known)
      problems.push(
        `generation ${generation} is in table spec_history but missing in table specs. This is a bug, or someone changed the tables; report it`,
      )
    if (!stretches.has(partition)) stretches.set(partition, [])
    stretches.get(partition)!.push({ from, generation: known ?? latest })
  }
  const { topicId } = await tables.pipeline()
  const introduced = new Map((await tables.introductions()).map(({ name, generation }) => [name, generation]))
  for (const { name } of spec.rules.aggregations) {
    if (!introduced.has(name))
      problems.push(
        `aggregation ${name} is in the given file, but no worker has started with it; pass the file that the workers use`,
      )
  }
  const rejected = new Map(
    (await tables.storeRejected()).map(({ partition, offset, field }) => [`${partition}/${offset}`, field]),
  )
  return { stretches, generations, introduced, topicId, rejected }
}

/** Returns the shortest allowed lateness that an aggregation ever had, in ms: no row may be final earlier. */
export function shortestLateness({ generations }: History, aggregation: string): number {
  const all = generations.flatMap(({ rules }) => rules.aggregations).filter(({ name }) => name === aggregation)
  return Math.min(...all.map(({ allowedLateness }) => allowedLateness))
}

/** Uses the given spec as the latest generation instead of the engine's own record of it. */
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
  if (!latest) problems.push('the table specs is empty: no worker has started with this schema yet')
  else if (!isDeepStrictEqual(latest.rules, spec.rules)) {
    problems.push(
      `the given spec differs from generation ${latest.number} in table specs; pass the file that the workers use`,
    )
  }
  return [...generations, { number: latest?.number ?? 1, rules: spec.rules }]
}
