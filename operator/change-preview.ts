/** Previews a change of a pipeline: which objects are created, changed and deleted, what restarts, and which results continue. Pure. */
import { scalesOf } from '#pipeline/fields.ts'
import { unsafeWatermark } from '#pipeline/future-reach.ts'
import { aggregationIdentity, specIdentity } from '#pipeline/identity.ts'
import { indexedPathFaults } from '#pipeline/indexed-paths.ts'
import { RENAME_PARTIAL, usingPartial } from '#pipeline/partial-names.ts'
import { UNCLEAR_MEASURE, unclearMeasures } from '#pipeline/per.ts'
import { roundedMeasures } from '#pipeline/rounding.ts'
import type { Spec } from '#pipeline/schema.ts'
import { isOpenIngest, OPEN_INGEST } from '#pipeline/secrets.ts'
import { desired } from './desired/desired.ts'
import type { OperatorSettings, Owner } from './desired/observed.ts'
import type { KubeObject } from './kube/resources.ts'

/** One version of the pipeline: the spec as the API server stores it, and the same after our checks. */
export type Version = { document: object; spec: Spec }

const SETTINGS: OperatorSettings = {
  images: { processor: 'processor', producer: 'producer', pullPolicy: 'IfNotPresent', pullSecrets: [] },
  telemetry: {},
  namespace: '',
  topicNamespaces: [],
  allowed: { serviceAccounts: ['*'], imagePullSecrets: ['*'], env: ['*'], envSecrets: true },
}

/** Lines to print, at least one. `before` is null for a new pipeline. */
export function changePreview(owner: Owner, before: Version | null, after: Version): string[] {
  const [old, next] = [before?.spec ?? null, after.spec]
  const changes = [...objects(owner, before, after), ...results(old, next), ...places(old, next)]
  return [
    ...(changes.length > 0 ? changes : ['no changes']),
    ...unclearNotes(old, next),
    ...partialNotes(old, next),
    ...indexNotes(next),
    ...roundingNotes(old, next),
    ...watermarkNotes(next),
    ...podNotes(next),
    ...(isOpenIngest(next) ? [`! ${OPEN_INGEST}`] : []),
  ]
}

function objects(owner: Owner, before: Version | null, after: Version): string[] {
  const [old, next] = [before ? childrenOf(owner, before) : new Map<string, KubeObject>(), childrenOf(owner, after)]
  return [
    ...[...next].flatMap(([name, object]) => {
      const existing = old.get(name)
      return existing ? changesOf(name, existing, object) : [creation(name, after)]
    }),
    ...[...old.keys()]
      .filter(name => !next.has(name))
      .map(name => (name.startsWith('KafkaTopic') ? `  ${name} is kept: it holds data` : `- ${name} is deleted`)),
  ]
}

/** The preview does not read the cluster's KafkaTopics. */
const creation = (name: string, { spec }: Version) =>
  name.startsWith('KafkaTopic')
    ? `+ ${name} is created, unless topic ${spec.source.topic} has a KafkaTopic already`
    : `+ ${name} is created`

type Workload = { replicas: number; template: unknown }

function changesOf(name: string, before: KubeObject, after: KubeObject): string[] {
  if (JSON.stringify(before) === JSON.stringify(after)) return []
  if (after.kind !== 'Deployment') return [`~ ${name} changes`]
  const [old, next] = [before.spec, after.spec] as [Workload, Workload]
  const restarts = JSON.stringify(old.template) !== JSON.stringify(next.template)
  return [
    ...(old.replicas === next.replicas ? [] : [`~ ${name}: ${old.replicas} → ${next.replicas} pods`]),
    ...(restarts ? [`! ${name}: its pods are replaced one by one; no results are lost`] : []),
  ]
}

function childrenOf(owner: Owner, { document, spec }: Version): Map<string, KubeObject> {
  const { replicas } = spec.workers
  const has = { podMonitor: false, kafkaTopic: true }
  const removalKeys = { subject: '', keys: [] }
  const children = desired({ owner, document, spec, settings: SETTINGS, replicas, has, removalKeys })
  return new Map(children.map(child => [`${child.kind} ${child.metadata.name}`, child]))
}

function results(before: Spec | null, after: Spec): string[] {
  if (before === null)
    return after.aggregations.map(
      ({ name }) =>
        `+ aggregation ${name}: new; contains the sales since spec.source.startFrom (${after.source.startFrom})`,
    )
  const old = new Map(before.aggregations.map(a => [a.name, aggregationIdentity(before, a)]))
  const kept = new Set(after.aggregations.map(({ name }) => name))
  return [
    ...after.aggregations.flatMap(a => {
      const identity = old.get(a.name)
      if (identity === undefined)
        return [`+ aggregation ${a.name}: new; contains only sales after the current offset of each partition`]
      if (identity === aggregationIdentity(after, a)) return []
      return [
        `x aggregation ${a.name}: this change is refused, because stored rows would not match the new definition; give the changed aggregation a new name`,
      ]
    }),
    ...[...old.keys()]
      .filter(name => !kept.has(name))
      .map(name => `- results of ${name} are no longer updated; their rows are kept`),
    ...(specIdentity(before) === specIdentity(after)
      ? []
      : [
          '~ the new spec applies to sales after the current offset of each partition; rows from earlier sales are kept',
        ]),
  ]
}

/** The API server refuses another place once a result is stored there (operator/crd/transitions.ts). */
function places(before: Spec | null, after: Spec): string[] {
  if (before === null) return []
  const changed = (part: (spec: Spec) => unknown) => JSON.stringify(part(before)) !== JSON.stringify(part(after))
  return [
    ...(changed(({ sinks: { postgres: p } }) => [p.host, p.port, p.database, p.schema])
      ? ['~ spec.sinks.postgres names another place; nothing is left behind, because no result is stored yet']
      : []),
    ...(changed(({ source: s }) => [s.bootstrapServers, s.strimzi])
      ? [
          '! spec.source names other Kafka servers: workers continue only if they find the same topic there; otherwise they stop with TopicReplaced',
        ]
      : []),
  ]
}

function unclearNotes(before: Spec | null, after: Spec): string[] {
  const live = new Set(before?.aggregations.map(({ name }) => name))
  return unclearMeasures(after).map(({ aggregation, measure }) =>
    live.has(aggregation)
      ? `! ${aggregation}.${measure} adds an amount of the whole record once per line; if this is meant, set per: lines`
      : `x ${aggregation}.${measure}: workers refuse this aggregation. It ${UNCLEAR_MEASURE}`,
  )
}

/** A live aggregation may be stored under a release that accepted the name; then workers use another name for the mark. */
function partialNotes(before: Spec | null, after: Spec): string[] {
  const live = new Set(before?.aggregations.map(({ name }) => name))
  return usingPartial(after)
    .filter(name => !live.has(name))
    .map(name => `x aggregation ${name}: workers refuse it: ${RENAME_PARTIAL}`)
}

/** The API server accepts such paths only where a stored document already has them. */
function indexNotes(after: Spec): string[] {
  return indexedPathFaults(after).map(
    ({ path, message }) =>
      `! spec.${path.join('.')}: ${message}. The value is missing in all events unless an object has that key`,
  )
}

/** Only the operator knows its settings and the labels of Secrets. */
function podNotes({ pods }: Spec): string[] {
  const fields = [
    ...(pods.serviceAccountName === undefined ? [] : ['serviceAccountName']),
    ...(pods.imagePullSecrets.length > 0 ? ['imagePullSecrets'] : []),
    ...(pods.env.length > 0 ? ['env'] : []),
  ].map(field => `spec.pods.${field}`)
  return fields.length > 0
    ? [`! ${fields.join(', ')}: the operator applies the spec only if its settings permit the values`]
    : []
}

function watermarkNotes(after: Spec): string[] {
  const problem = unsafeWatermark(after)
  return problem === null ? [] : [`! ${problem}`]
}

/** Only the database knows which release created an aggregation, so a live one may have either rule. */
function roundingNotes(before: Spec | null, after: Spec): string[] {
  const live = new Set(before?.aggregations.map(({ name }) => name))
  const once = roundedMeasures(after, scalesOf(after)).filter(({ rounding }) => rounding === 'once')
  return once.flatMap(({ aggregation, measure: { name, op }, exact, shown }) => [
    ...(live.has(aggregation)
      ? [
          `  ${aggregation}.${name} keeps its rounding: each event is rounded to scale ${shown} if release 0.3.0 or older created ${aggregation}, else only the result. To round only the result, give ${aggregation} a new name`,
        ]
      : []),
    ...(op === 'sum'
      ? [
          `! ${aggregation}.${name} shows ${shown} of ${exact} decimals, so adding up its rows can differ from the exact total; add up ${name}_sum instead, or raise scale`,
        ]
      : []),
  ])
}
