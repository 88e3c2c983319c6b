/** Describes the data of a deleted pipeline that nobody removed, so that somebody can find it later. Pure. */
import { schemaNames } from '#pipeline/identity.ts'
import { API_VERSION, KIND, type Spec } from '#pipeline/schema.ts'
import type { Owner } from './desired/observed.ts'

type Named = Pick<Owner, 'namespace' | 'name'>

/** `spec`: null if it is invalid. */
export function leftBehind(owner: Named, spec: Spec | null): string {
  const places = spec
    ? [schemaOf(owner, spec), ...indexesOf(spec)]
    : ['its rows in PostgreSQL', 'its documents in Elasticsearch']
  return places.join('; ')
}

function schemaOf({ namespace, name }: Named, spec: Spec): string {
  const { host, port, database } = spec.sinks.postgres
  const names = schemaNames({ apiVersion: API_VERSION, kind: KIND, metadata: { namespace, name }, spec })
  const former = names.former ? ` (or ${names.former}, if a release up to 0.3.0 created it)` : ''
  return `schema ${names.name}${former} in database ${database} of PostgreSQL ${host}:${port}`
}

function indexesOf({ sinks: { elasticsearch } }: Spec): string[] {
  if (!elasticsearch) return []
  const indexes = elasticsearch.projections.map(({ index }) => index).join(', ')
  return [`documents in ${indexes} of Elasticsearch ${elasticsearch.nodes[0]}`]
}
