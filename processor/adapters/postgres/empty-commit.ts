/**
 * A commit without records (docs/semantics.md, section 12). PostgreSQL checks every statement of a commit and the user's
 * privileges on every table, as it will for the first sale, and nothing changes.
 */
import type { CommitContext } from './commit.ts'
import type { Connections } from './connections.ts'

type EmptyCommitContext = Pick<CommitContext, 'compiled' | 'statements' | 'aggregates' | 'raw'> & {
  connections: Connections
}

type Statement = { text: string; values: unknown[] }

/** Resolves with those of the partitions that still have this epoch and token. */
export async function commitNothing(
  context: EmptyCommitContext,
  owned: { partition: number; epoch: number; token: string }[],
): Promise<number[]> {
  const { connections, statements } = context
  const values = [owned.map(o => o.partition), owned.map(o => o.epoch), owned.map(o => o.token)]
  return connections.transaction(async session => {
    const { rows } = await session.query<{ partition: number }>(statements.keepProgress, values)
    for (const { text, values } of withoutRows(context)) await session.query(text, values)
    return rows.map(({ partition }) => partition)
  })
}

/** The statements of a commit in its order, with arrays that are empty. */
function withoutRows({ compiled, statements, aggregates, raw }: EmptyCommitContext): Statement[] {
  const empty = (count: number) => Array<string>(count).fill('{}')
  return [
    { text: statements.countAggregations, values: empty(8) },
    ...compiled.aggregations
      .map(({ name, keys, columns }, i) => ({
        name,
        text: aggregates[i]!.upsert,
        values: [...empty(2 + keys.length + columns.length), name, null],
      }))
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
    { text: statements.insertLate, values: empty(7) },
    { text: statements.insertDead, values: ['', ...empty(12)] },
    ...(raw ? [{ text: raw.insert, values: empty(4 + compiled.fields.length) }] : []),
  ]
}
