/** What a change of a pipeline would do: what restarts, what is made and removed, and which results go on. Pure. */
import { aggregationIdentity, specIdentity } from '#pipeline/identity.ts'
import type { Spec } from '#pipeline/schema.ts'
import { desired } from './desired/desired.ts'
import type { OperatorSettings, Owner } from './desired/observed.ts'
import type { KubeObject } from './kube/resources.ts'

/** One version of the pipeline: as the API server has it, and checked. */
export type Version = { document: object; spec: Spec }

const SETTINGS: OperatorSettings = {
  images: { processor: 'processor', producer: 'producer', pullPolicy: 'IfNotPresent', pullSecrets: [] },
  telemetry: {},
  namespace: '',
}

/** Lines for people; never empty. `before` null: the pipeline is new. */
export function planOf(owner: Owner, before: Version | null, after: Version): string[] {
  const lines = [...objects(owner, before, after), ...results(before?.spec ?? null, after.spec)]
  return lines.length > 0 ? lines : ['nothing changes']
}

function objects(owner: Owner, before: Version | null, after: Version): string[] {
  const [old, next] = [before ? childrenOf(owner, before) : new Map<string, KubeObject>(), childrenOf(owner, after)]
  return [
    ...[...next].flatMap(([name, object]) => {
      const there = old.get(name)
      return there ? changesOf(name, there, object) : [`+ ${name} is made`]
    }),
    ...[...old.keys()]
      .filter(name => !next.has(name))
      .map(name => (name.startsWith('KafkaTopic') ? `  ${name} stays: it holds data` : `- ${name} is removed`)),
  ]
}

type Workload = { replicas: number; template: unknown }

function changesOf(name: string, before: KubeObject, after: KubeObject): string[] {
  if (JSON.stringify(before) === JSON.stringify(after)) return []
  if (after.kind !== 'Deployment') return [`~ ${name} changes`]
  const [old, next] = [before.spec, after.spec] as [Workload, Workload]
  const restarts = JSON.stringify(old.template) !== JSON.stringify(next.template)
  return [
    ...(old.replicas === next.replicas ? [] : [`~ ${name}: ${old.replicas} → ${next.replicas} pods`]),
    ...(restarts
      ? [`! ${name}: its pods are replaced one by one; each reads again what it needs and loses nothing`]
      : []),
  ]
}

function childrenOf(owner: Owner, { document, spec }: Version): Map<string, KubeObject> {
  const { replicas } = spec.workers
  const has = { podMonitor: false, kafkaTopic: true }
  const children = desired({ owner, document, spec, settings: SETTINGS, replicas, has, secrets: new Map() })
  return new Map(children.map(child => [`${child.kind} ${child.metadata.name}`, child]))
}

function results(before: Spec | null, after: Spec): string[] {
  if (before === null)
    return after.aggregations.map(({ name }) => `+ results ${name} begin, from ${after.source.startFrom}`)
  const old = new Map(before.aggregations.map(a => [a.name, aggregationIdentity(before, a)]))
  const kept = new Set(after.aggregations.map(({ name }) => name))
  return [
    ...after.aggregations.flatMap(a => {
      const identity = old.get(a.name)
      if (identity === undefined) return [`+ results ${a.name} begin where each partition then is`]
      if (identity === aggregationIdentity(after, a)) return []
      return [`x results ${a.name} would mean something else: give the changed aggregation another name`]
    }),
    ...[...old.keys()]
      .filter(name => !kept.has(name))
      .map(name => `- results ${name} are no longer kept up to date; the rows stay`),
    ...(specIdentity(before) === specIdentity(after)
      ? []
      : [
          '~ a new generation of the spec is in force from the offset that each partition has then; rows before it stay',
        ]),
  ]
}
