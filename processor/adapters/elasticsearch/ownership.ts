/** Decides from the marks of indices and templates who owns them (contract, section 4). */
import type { Client, estypes, TransportRequestOptions } from '@elastic/elasticsearch'
import { Retryable } from '#processor/errors.ts'
import type { Ownership } from '#processor/ports.ts'

/** An index or index template; `mark`: its owner, null if it has no mark. */
export type Found = { name: string; mark: string | null }

/** Marks an index or template with its owner when it is created. Elasticsearch keeps it when fields are added. */
export const markOf = ({ owner }: Pick<Ownership, 'owner'>) => ({ salesPipeline: owner })

/** Returns the mark of a release up to 0.3.0: namespace/name alone, which several pipelines may have. */
const formerMark = (owner: string) => owner.slice(0, owner.lastIndexOf('/'))

/** Returns whether nobody else is known to own it: it has no mark, or one of a release up to 0.3.0 with this name. */
export const isUnowned = ({ mark }: Found, owner: string) => mark === null || mark === formerMark(owner)

/** Returns the real names of the indices if `index` is an alias; also closed ones. */
export async function findIndices(client: Client, index: string, options: TransportRequestOptions): Promise<Found[]> {
  const found = await client.indices.getMapping({ index, ignore_unavailable: true }, options)
  return Object.entries(found).map(([name, { mappings }]) => ({ name, mark: markIn(mappings._meta) }))
}

export async function findTemplates(client: Client, name: string, options: TransportRequestOptions): Promise<Found[]> {
  const { index_templates } = await client.indices.getIndexTemplate({ name }, { ...options, ignore: [404] })
  return (index_templates ?? []).map(({ name, index_template }) => ({ name, mark: markIn(index_template._meta) }))
}

function markIn(meta: estypes.Metadata | undefined): string | null {
  const mark = meta?.salesPipeline
  return mark === undefined || mark === null ? null : String(mark)
}

export type Judged = 'ours' | 'adopted' | 'absent'

/** What a projection may use: `adopt` as the spec says, `isInherited` if a release up to 0.3.0 filled the index. */
export type Claimed = { ownership: Ownership; adopt: boolean; isInherited: boolean; aggregation: string }

/** Throws Retryable with the condition IndexOwnedByOther if one of them may not be used. */
export function judge(kind: 'index' | 'index template', found: Found[], claimed: Claimed): Judged {
  const { ownership, adopt, isInherited } = claimed
  const { owner } = ownership
  const others = found.filter(({ mark }) => mark !== owner)
  for (const other of others) {
    if (!(other.mark === null ? adopt || isInherited : isInherited && isUnowned(other, owner)))
      throw refused(kind, other, claimed)
  }
  if (others.length > 0) return 'adopted'
  return found.length > 0 ? 'ours' : 'absent'
}

function refused(kind: string, { name, mark }: Found, { ownership, aggregation }: Claimed): Retryable {
  const field = kind === 'index' ? 'index' : 'template'
  const another = `Set another ${field} for the projection of ${aggregation} in spec.sinks.elasticsearch.projections`
  const message =
    mark === null
      ? `${kind} ${name} was not created by this pipeline. ${another}, or set adopt: true there to use the ${kind} as it is`
      : `${kind} ${name} belongs to another pipeline: its owner is ${mark}, this pipeline is ${ownership.owner}. ${another}, or delete the ${kind} if nobody needs it`
  return new Retryable(message, { condition: 'IndexOwnedByOther' })
}
