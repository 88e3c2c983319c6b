import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseAllDocuments, stringify } from 'yaml'
import { desired } from '#operator/desired/desired.ts'
import { removalJob } from '#operator/desired/removal.ts'
import type { KubeObject } from '#operator/kube/resources.ts'
import { checkPipeline } from '#pipeline/parse.ts'
import { REMOVAL_KEYS } from '#pipeline/removal-tokens.ts'
import { observedOf, outputFile, SHAPES } from './golden.ts'

const text = (objects: KubeObject[]) =>
  objects.map(object => stringify(object, { lineWidth: 0, aliasDuplicateObjects: false })).join('---\n')

/** UPDATE_GOLDEN=1 writes the golden files; review the diff before you commit it. */
describe('desired objects', () => {
  it('renders desired objects in at least six golden shapes', () => expect(SHAPES.length).toBeGreaterThanOrEqual(6))
  it.each(SHAPES)('match the golden file of shape %s', shape => {
    const output = text(desired(observedOf(shape)))
    if (process.env.UPDATE_GOLDEN) writeFileSync(outputFile(shape), output)
    expect(existsSync(outputFile(shape))).toBe(true)
    expect(output).toBe(readFileSync(outputFile(shape), 'utf8'))
  })
})

it('builds the removal Job of shape strimzi-tls as in its golden file', () => {
  const output = text([removalJob(observedOf('strimzi-tls'))])
  const file = join(import.meta.dirname, 'golden-removal.yaml')
  if (process.env.UPDATE_GOLDEN) writeFileSync(file, output)
  expect(output).toBe(readFileSync(file, 'utf8'))
})

const templateOf = (objects: KubeObject[], name: string) => {
  const deployment = objects.find(({ kind, metadata }) => kind === 'Deployment' && metadata.name === name)
  return (deployment as { spec: { template: object } } | undefined)?.spec.template
}

describe('desired pods', () => {
  const shape = 'strimzi-tls'
  const change = (spec: object, more: object = {}) => {
    const observed = observedOf(shape)
    const document = { ...observed.document, ...spec }
    const resource = { apiVersion: observed.owner.apiVersion, kind: 'SalesPipeline', metadata: { name: 'eu-sales' } }
    return desired({ ...observed, document, spec: checkPipeline({ ...resource, spec: document }).spec, ...more })
  }
  const before = templateOf(change({}), 'eu-sales-processor')

  it.each<[string, object, object]>([
    ['another node', { pods: { nodeSelector: { pool: 'sales' } } }, {}],
    ['another annotation', { pods: { annotations: { team: 'shop' } } }, {}],
    ['another lateness', { allowedLateness: '1m' }, {}],
    [
      'another key of a Secret',
      { sinks: { postgres: { passwordSecretRef: { name: 'pg', key: 'other' }, insecure: true } } },
      {},
    ],
  ])('replaces pods for %s', (_change, spec, more) =>
    expect(templateOf(change(spec, more), 'eu-sales-processor')).not.toEqual(before),
  )

  it.each<[string, object, object]>([
    ['another number of workers', { workers: { replicas: 9 } }, { replicas: 9 }],
    ['another load', { load: { rate: 7 } }, {}],
    ['ingest', { ingest: { replicas: 1 } }, {}],
    ['no other setting of its pods', { pods: {} }, {}],
    ['other keys of the API server', {}, { removalKeys: { subject: 'operator', keys: [{ kid: 'b' }] } }],
  ])('does not replace pods for %s', (_change, spec, more) =>
    expect(templateOf(change(spec, more), 'eu-sales-processor')).toEqual(before),
  )
})

describe('the configuration file of a worker', () => {
  it.each(SHAPES)('writes a complete document for the program of a worker in shape %s', shape => {
    const config = desired(observedOf(shape)).find(({ kind }) => kind === 'ConfigMap') as unknown as {
      data: Record<string, string>
    }
    for (const [name, file] of Object.entries(config.data)) {
      if (name === REMOVAL_KEYS) continue
      const [document] = parseAllDocuments(file)
      expect(checkPipeline((document as { toJS(): unknown }).toJS()).spec.source).toEqual(observedOf(shape).spec.source)
    }
  })
})
