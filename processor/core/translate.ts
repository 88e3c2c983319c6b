/**
 * Brings the rest of a record that is counted under an older generation into the form of the newest one, which the worker
 * stores (contract, section 3). An aggregation of the same name has the same identity in both (section 2).
 */
import type { CompiledSpec } from '#pipeline/compiled-spec.ts'
import type { AggregateRows, AggregationCounters } from './commit.ts'
import { noRows } from './merge.ts'
import { noCounters, type Share } from './pending.ts'

/** Drops what belongs to aggregations, or to a raw table, that the newest generation does not have. */
export function translateShare(share: Share, from: CompiledSpec, to: CompiledSpec): Share {
  const places = to.aggregations.map(({ name }) => from.aggregations.findIndex(known => known.name === name))
  const aggregations = places.map((place): AggregationCounters => share.commit.aggregations[place] ?? noCounters())
  return {
    ...share,
    commit: { ...share.commit, aggregations },
    aggregates: to.aggregations.map((aggregation, i): AggregateRows => {
      const rows = share.aggregates[places[i]!]
      return rows ? { ...rows, aggregation: i } : noRows(aggregation, i)
    }),
    late: share.late.flatMap(event => {
      const aggregation = places.indexOf(event.aggregation)
      return aggregation < 0 ? [] : [{ ...event, aggregation }]
    }),
    raw: to.spec.raw?.table === from.spec.raw?.table ? inFields(share.raw, from, to) : [],
  }
}

function inFields(raw: Share['raw'], from: CompiledSpec, to: CompiledSpec): Share['raw'] {
  const places = to.fields.map(({ name }) => from.fields.findIndex(known => known.name === name))
  return raw.map(sale => ({ ...sale, values: places.map(place => sale.values[place] ?? null) }))
}
