/** Tests what the chart renders with its defaults and with each of its ci/*-values.yaml, and which values it rejects. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { parse, stringify } from 'yaml'
import { RUNBOOK } from '#grafana/runbook.ts'
import { operatorFile } from '../../charts/generate.ts'
import { CHART, chartShapes, describeWithHelm, helm, rendered } from '../support/helm.ts'
import type { Json } from '../support/kube.ts'

const GOLDEN = join(import.meta.dirname, 'golden')
const SHAPES = chartShapes()
const EXAMPLES = join(CHART, '../../k8s/examples')
const LAPTOP = ['-f', join(CHART, 'values-laptop.yaml')]
/** Topics that the operator creates for the examples. */
const topics: string[] = readdirSync(EXAMPLES)
  .map(file => parse(readFileSync(join(EXAMPLES, file), 'utf8')).spec.source)
  .filter(({ strimzi }) => strimzi)
  .map(({ topic }) => topic)

/** Returns the objects as text, without random values and without files that have their own tests. */
function goldenText(objects: Json[]): string {
  const kept = objects.filter(({ kind }) => kind !== 'CustomResourceDefinition')
  return kept.map(object => stringify(forGolden(object), { lineWidth: 0, aliasDuplicateObjects: false })).join('---\n')
}

function forGolden(object: Json): Json {
  const data = (object.kind === 'ConfigMap' || object.kind === 'Secret') && object.data
  if (object.kind === 'PrometheusRule') return { ...object, spec: 'grafana/alerts.yaml' }
  if (object.stringData?.['salespipeline.yaml']) {
    const text = object.stringData['salespipeline.yaml'].replace(/password: "[^"]{32}"/, 'password: "…"')
    return { ...object, stringData: { 'salespipeline.yaml': text } }
  }
  if (object.kind === 'Job')
    return { ...object, metadata: { ...object.metadata, name: object.metadata.name.replace(/[0-9a-f]{8}$/, '…') } }
  if (!data) return object
  const hidden = Object.entries(data as Record<string, string>).map(([key, value]) => {
    if (/\.(json|ndjson|mjs)$/.test(key)) return [key, 'a file']
    return [key, key === 'password' && value.length === 44 ? '…' : value]
  })
  return { ...object, data: Object.fromEntries(hidden) }
}

/** UPDATE_GOLDEN=1 writes the golden files; review the diff before you commit it. */
describeWithHelm('the chart', () => {
  it('is covered by at least six golden shapes', () => expect(SHAPES.length).toBeGreaterThanOrEqual(6))

  it.each(SHAPES)('renders shape %s as in its golden file', (shape, args) => {
    const output = goldenText(rendered(args))
    const file = join(GOLDEN, `${shape}.yaml`)
    if (process.env.UPDATE_GOLDEN) writeFileSync(file, output)
    expect(output).toBe(readFileSync(file, 'utf8'))
  })

  it.each(SHAPES)('passes helm lint with the values of shape %s', (_shape, args) => {
    expect(helm(['lint', '--strict', CHART, ...args])).toContain('0 chart(s) failed')
  })

  it('uses the password of a Secret in every object that contains it, and a new one in each release', () => {
    const passwords = [1, 2].map(() => {
      const secrets = rendered([]).filter(({ kind }) => kind === 'Secret')
      const reader = secrets.find(({ metadata }) => metadata.name === 'postgres-reader').data.password
      const source = secrets.find(({ metadata }) => metadata.name === 'salespipeline-datasource').stringData
      expect(source['salespipeline.yaml']).toContain(Buffer.from(reader, 'base64').toString())
      return reader
    })
    expect(new Set(passwords).size).toBe(2)
  })

  it('keeps the CRD, and with keepData every object that holds data, on uninstall', () => {
    const kept = (args: string[]) =>
      rendered(args)
        .filter(({ metadata }) => metadata.annotations?.['helm.sh/resource-policy'] === 'keep')
        .map(({ kind, metadata }) => `${kind}/${metadata.name}`)
        .toSorted()
    expect(kept(['--set', 'keepData=false'])).toEqual(['CustomResourceDefinition/salespipelines.salespipeline.dev'])
    expect(kept([])).toEqual(
      [
        'CustomResourceDefinition/salespipelines.salespipeline.dev',
        'Elasticsearch/elasticsearch',
        'Kafka/kafka',
        'KafkaNodePool/kafka-nodes',
        ...['elasticsearch', 'elasticsearch-roles', 'postgres', 'postgres-reader', 'postgres-superuser'].map(
          name => `Secret/${name}`,
        ),
      ].toSorted(),
    )
  })

  it('has alerts that link to the runbook, at the address of monitoring.runbooks', () => {
    const spec = (args: string[]) => rendered(args).find(({ kind }) => kind === 'PrometheusRule').spec
    const links = (args: string[]): string[] =>
      spec(args).groups.flatMap(({ rules }: Json) =>
        rules.flatMap(({ annotations }: Json) => annotations?.runbook_url ?? []),
      )
    expect(links([]).length).toBeGreaterThan(5)
    expect(links([]).filter(link => !link.startsWith(`${RUNBOOK}#`))).toEqual([])
    const elsewhere = links(['--set', 'monitoring.runbooks=https://wiki.example.com/runbook'])
    expect(elsewhere).toEqual(links([]).map(link => link.replace(RUNBOOK, 'https://wiki.example.com/runbook')))
    expect(elsewhere[0]).toMatch(/^https:\/\/wiki\.example\.com\/runbook#\w+/)
  })

  it.each<[string[], RegExp]>([
    [['kafka.replicas=0'], /replicas.*minimum.* 1/is],
    [['kafka.replica=1'], /kafka.*additional properties 'replica' not allowed/is],
    [['postgres.mode=mysql'], /mode.*must be one of 'statefulset', 'cloudnative-pg', 'external'/is],
    [['postgres.storage.size=5 gigabytes'], /size.*does not match pattern/is],
    [['telemetry.otlpEndpoint=collector:4317'], /otlpEndpoint.*does not match pattern/is],
    [['images.pullPolicy=Sometimes'], /pullPolicy.*must be one of/is],
    [['elasticsearch.enabled=false'], /kibana\.enabled needs elasticsearch\.enabled: --set kibana\.enabled=false/],
    [['kafka.scram.plain=false'], /leaves Kafka without a listener: --set kafka\.scram\.enabled=true/],
    [['kafka.enabled=false', 'kafkaUi.enabled=true'], /kafkaUi\.enabled needs kafka\.enabled/],
  ])('rejects the values %j with a readable message', (values, message) => {
    expect(() => rendered(values.flatMap(value => ['--set', value]))).toThrow(message)
  })

  it('renders k8s/operator/operator.yaml, for clusters without Helm, as npm run manifests writes it', () => {
    expect(readFileSync(join(CHART, '../../k8s/operator/operator.yaml'), 'utf8')).toBe(operatorFile())
  })

  it('has the version of the project', () => {
    const { version, appVersion } = parse(readFileSync(join(CHART, 'Chart.yaml'), 'utf8'))
    const project = JSON.parse(readFileSync(join(CHART, '../../package.json'), 'utf8'))
    expect([version, appVersion]).toEqual([project.version, project.version])
  })
})

describeWithHelm('the values for a laptop', () => {
  it('create no KafkaTopic for a topic that the operator creates for an example', () => {
    expect(topics.length).toBeGreaterThan(3)
    const created = rendered(LAPTOP).filter(({ kind }) => kind === 'KafkaTopic')
    expect(created.filter(({ metadata, spec }) => topics.includes(spec.topicName ?? metadata.name))).toEqual([])
  })

  it('let the user of the pipelines use the topics of the examples once Kafka authorizes', () => {
    const only = ['--set', 'kafka.scram.enabled=true,kafka.scram.plain=false']
    const user = rendered([...LAPTOP, ...only]).find(({ kind }) => kind === 'KafkaUser')
    const allowed = user.spec.authorization.acls.map(({ resource }: { resource: { name: string } }) => resource.name)
    expect(topics.filter(topic => !allowed.includes(topic))).toEqual([])
  })
})
