/** Tests in which namespaces a document can make the operator act, and which objects count as a pipeline's own. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { CRD_FILE } from '#operator/crd/generate.ts'
import { desired } from '#operator/desired/desired.ts'
import { isOurs } from '#operator/desired/names.ts'
import { removalJob } from '#operator/desired/removal.ts'
import type { KubeObject } from '#operator/kube/resources.ts'
import { FakeCluster } from './fake-cluster.ts'
import { observedOf, SHAPES } from './golden.ts'

type Schema = { properties?: Record<string, Schema>; items?: Schema; additionalProperties?: Schema }

function pathsIn(schema: Schema, path = ''): string[] {
  const { properties = {}, items, additionalProperties } = schema
  return [
    path,
    ...Object.entries(properties).flatMap(([name, field]) => pathsIn(field, path === '' ? name : `${path}.${name}`)),
    ...(items ? pathsIn(items, `${path}[]`) : []),
    ...(typeof additionalProperties === 'object' ? pathsIn(additionalProperties, `${path}{}`) : []),
  ]
}

describe('a document', () => {
  it('names other namespaces only in spec.source.strimzi, where their owners must allow it', () => {
    const crd = parse(readFileSync(CRD_FILE, 'utf8'))
    const paths = crd.spec.versions.flatMap((version: { schema: { openAPIV3Schema: Schema } }) =>
      pathsIn(version.schema.openAPIV3Schema),
    )
    expect(paths.filter((path: string) => /namespace/i.test(path))).toEqual(['spec.source.strimzi.namespace'])
  })

  it.each(SHAPES)('creates objects only in the namespace of the pipeline, except the KafkaTopic: shape %s', shape => {
    const observed = observedOf(shape)
    const elsewhere = [...desired(observed), removalJob(observed)].filter(
      ({ metadata }) => metadata.namespace !== observed.owner.namespace,
    )
    expect(elsewhere.filter(({ kind }) => kind !== 'KafkaTopic')).toEqual([])
  })
})

describe('an object', () => {
  const owner = { apiVersion: 'v', kind: 'SalesPipeline', namespace: 'shop', name: 'a', uid: 'u', createdAt: '2026' }
  const object = (kind: string, metadata: Partial<KubeObject['metadata']>): KubeObject => ({
    apiVersion: 'v1',
    kind,
    metadata: { name: 'x', namespace: 'shop', ...metadata },
  })
  const reference = { apiVersion: 'v', kind: 'SalesPipeline', name: 'a', uid: 'u', controller: true }
  const marked = { annotations: { 'salespipeline.dev/pipeline': 'shop/a' } }

  it.each<[string, KubeObject, boolean]>([
    ['with its uid as the owner', object('Deployment', { ownerReferences: [reference] }), true],
    ['with its key as the mark', object('Job', marked), true],
    ['with another uid', object('Deployment', { ownerReferences: [{ ...reference, uid: 'w' }] }), false],
    ['with a forged owner', object('Deployment', { namespace: 'tenant', ownerReferences: [reference] }), false],
    ['with a forged mark', object('Job', { namespace: 'tenant', ...marked }), false],
  ])('%s belongs to a pipeline only in the namespace of the pipeline', (_what, child, expected) =>
    expect(isOurs(child, owner)).toBe(expected),
  )

  it('of a deleted pipeline of the same name is reported as one that Kubernetes will delete', async () => {
    const cluster = new FakeCluster()
    const key = cluster.create('shop', 'a', {})
    cluster.put(object('ConfigMap', { name: 'a-config', ownerReferences: [{ ...reference, uid: 'earlier' }] }))
    await cluster.pass(key)
    expect(cluster.condition(key, 'Ready')).toMatchObject({
      reason: 'ObjectConflict',
      message:
        'ConfigMap shop/a-config belongs to a deleted pipeline of the same name; this pipeline starts once Kubernetes has deleted it',
    })
  })
})
