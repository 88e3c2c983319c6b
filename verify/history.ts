/** Reads which generation of the spec applied to which offsets of each partition. */
import { isDeepStrictEqual } from 'node:util'
import type { History } from './recompute.ts'
import { type Generation, readSpec, type Spec, type WrittenDocument, withRoundEach } from './spec.ts'
import type { Tables } from './tables.ts'

type StoredSpec = { generation: number; document: unknown }

/**
 * Resolves with the aggregations that a release up to 0.3.0 created, which rounded each event: the document of the
 * generation that introduced them has no `roundEach`.
 */
export async function readRoundedEach(tables: Tables): Promise<Set<string>> {
  const specs = await tables.specs()
  const measuresOf = (generation: number) => {
    const document = specs.find(stored => stored.generation === generation)?.document as WrittenDocument | undefined
    return document?.spec.aggregations.flatMap(({ measures }) => measures) ?? []
  }
  const knowsNoRule = (generation: number) =>
    measuresOf(generation).length > 0 && measuresOf(generation).every(({ roundEach }) => roundEach === undefined)
  const introductions = await tables.introductions()
  return new Set(introductions.filter(({ generation }) => knowsNoRule(generation)).map(({ name }) => name))
}

/** Resolves with the history in the tables. Adds its contradictions with the given spec to `problems`. */
export async function readHistory(
  tables: Tables,
  spec: Spec,
  roundedEach: Set<string>,
  problems: string[],
): Promise<History> {
  const generations = readGenerations(await tables.specs(), spec, roundedEach, problems)
  const latest = generations.at(-1)!
  const stretches: History['stretches'] = new Map()
  for (const { partition, from, generation, recorded } of await tables.specHistory()) {
    const known = generations.find(({ number }) => number === generation)
    if (!known)
      problems.push(
        `generation ${generation} is in table spec_history but missing in table specs. This is a bug, or someone changed the tables; report it`,
      )
    if (!stretches.has(partition)) stretches.set(partition, [])
    stretches.get(partition)!.push({ from, generation: known ?? latest, recorded })
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
    (await tables.storeRejected()).map(({ partition, offset, ...rejection }) => [`${partition}/${offset}`, rejection]),
  )
  return { stretches, generations, introduced, topicId, rejected }
}

/** Returns the shortest allowed lateness that an aggregation ever had, in ms: no row may be final earlier. */
export function shortestLateness({ generations }: History, aggregation: string): number {
  const all = generations.flatMap(({ rules }) => rules.aggregations).filter(({ name }) => name === aggregation)
  return Math.min(...all.map(({ allowedLateness }) => allowedLateness))
}

/** Uses the given spec as the latest generation instead of the engine's own record of it. */
function readGenerations(specs: StoredSpec[], spec: Spec, roundedEach: Set<string>, problems: string[]): Generation[] {
  const generations = specs.map(({ generation, document }) => ({
    number: generation,
    rules: readSpec(withRoundEach(document as WrittenDocument, roundedEach)).rules,
  }))
  const latest = generations.pop()
  if (!latest) problems.push('the table specs is empty: no worker has started with this schema yet')
  else if (!isDeepStrictEqual(latest.rules, spec.rules)) {
    problems.push(
      `the given spec differs from generation ${latest.number} in table specs; pass the file that the workers use, and use the verifier of their release`,
    )
  }
  return [...generations, { number: latest?.number ?? 1, rules: spec.rules }]
}
