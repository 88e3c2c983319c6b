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

/** Returns the objects as text, without files that have their own tests. */
function goldenText(objects: Json[]): string {
  const kept = objects.filter(({ kind }) => kind !== 'CustomResourceDefinition')
  return kept.map(object => stringify(forGolden(object), { lineWidth: 0, aliasDuplicateObjects: false })).join('---\n')
}

function forGolden(object: Json): Json {
  if (object.kind === 'PrometheusRule') return { ...object, spec: 'grafana/alerts.yaml' }
  if (object.kind === 'Job') return jobForGolden(structuredClone(object))
  if (object.kind !== 'ConfigMap' || !object.data) return object
  const hidden = Object.entries(object.data as Record<string, string>).map(([key, value]) => [
    key,
    /\.(json|ndjson|mjs)$/.test(key) ? 'a file' : value,
  ])
  return { ...object, data: Object.fromEntries(hidden) }
}

function jobForGolden(job: Json): Json {
  job.metadata.name = job.metadata.name.replace(/[0-9a-f]{8}$/, '…')
  const [container] = job.spec.template.spec.containers
  if (container.args) container.args = ['charts/passwords/create.mjs']
  return job
}

/** UPDATE_GOLDEN=1 writes the golden files; review the diff before you commit it. */
describeWithHelm('the chart', () => {
  it('renders the chart in at least six golden shapes', () => expect(SHAPES.length).toBeGreaterThanOrEqual(6))

  it.each(SHAPES)('renders shape %s as in its golden file', (shape, args) => {
    const output = goldenText(rendered(args))
    const file = join(GOLDEN, `${shape}.yaml`)
    if (process.env.UPDATE_GOLDEN) writeFileSync(file, output)
    expect(output).toBe(readFileSync(file, 'utf8'))
  })

  it.each(SHAPES)('passes helm lint with the values of shape %s', (_shape, args) => {
    expect(helm(['lint', '--strict', CHART, ...args])).toContain('0 chart(s) failed')
  })

  it.each(SHAPES)('renders shape %s without a cluster twice the same, without any password', (_shape, args) => {
    const [first, second] = [1, 2].map(() => rendered(args))
    expect(second).toEqual(first)
    const secrets = first!.filter(({ kind }) => kind === 'Secret')
    expect(secrets.flatMap(({ data = {}, stringData = {} }) => Object.keys({ ...data, ...stringData }))).not.toContain(
      'password',
    )
    expect(JSON.stringify(secrets)).not.toMatch(/secureJsonData/)
  })

  it('gives every Job another name when anything in its template changes, because a Job cannot be changed', () => {
    const jobs = (values: string) =>
      rendered(['--set', values])
        .filter(({ kind }) => kind === 'Job')
        .map(({ metadata, spec }) => [metadata.name, JSON.stringify(spec)] as const)
    const changes = [
      'images.tag=next',
      'images.registry=r.example',
      'images.pullPolicy=Always',
      'images.pullSecrets={a}',
    ]
    const renamed = [
      'elasticsearch.name=es',
      'postgres.name=pg',
      'postgres.database=shop',
      'monitoring.datasource=false',
    ]
    const known = new Map<string, string>()
    for (const [name, spec] of ['keepData=true', ...changes, ...renamed].flatMap(jobs)) {
      expect(known.get(name) ?? spec, name).toBe(spec)
      known.set(name, spec)
    }
    for (const change of changes)
      for (const [name] of jobs('keepData=true'))
        expect(
          jobs(change).map(([other]) => other),
          change,
        ).not.toContain(name)
  })

  it('keeps the name of a Job when only labels of the chart change', () => {
    const names = (args: string[]) =>
      rendered(args).flatMap(({ kind, metadata }) => (kind === 'Job' ? [metadata.name] : []))
    expect(names(['--set', 'operator.replicas=3'])).toEqual(names([]))
  })

  it('takes every password from the Secret that existingSecret names, and creates none for it', () => {
    const [owner, reader, superuser, search] = ['my-owner', 'my-reader', 'my-superuser', 'my-search']
    const objects = rendered([
      '--set',
      `postgres.existingSecret=${owner},postgres.readerExistingSecret=${reader},postgres.superuserExistingSecret=${superuser},elasticsearch.existingSecret=${search}`,
    ])
    const find = (kind: string, name: RegExp) =>
      objects.find(object => object.kind === kind && name.test(object.metadata.name))
    const environment = (object: Json): Json[] => object.spec.template.spec.containers[0].env
    const secretsOfPostgres = environment(find('StatefulSet', /^postgres$/)).flatMap(
      ({ valueFrom }) => valueFrom?.secretKeyRef.name ?? [],
    )
    expect(secretsOfPostgres).toEqual([superuser, owner, reader])
    expect(find('Elasticsearch', /./).spec.auth.fileRealm).toEqual([{ secretName: search }])
    const { sinks } = find('SalesPipeline', /./).spec
    expect([sinks.postgres.passwordSecretRef.name, sinks.elasticsearch.usernameSecretRef.name]).toEqual([owner, search])
    const tested = find('Pod', /^helm-test$/).spec.containers[0].env.map(
      ({ valueFrom }: Json) => valueFrom.secretKeyRef.name,
    )
    expect(new Set(tested)).toEqual(new Set([owner, search, 'elasticsearch-es-http-certs-public']))
    const job = environment(find('Job', /^salespipeline-passwords-/))
    expect(job.find(({ name }) => name === 'SECRETS').value).toBe('[]')
    expect(JSON.parse(job.find(({ name }) => name === 'DATASOURCE').value).reader).toBe(reader)
    expect(find('Role', /^salespipeline-passwords$/).rules[1].resourceNames).toEqual([
      'salespipeline-datasource',
      reader,
    ])
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
        'Secret/elasticsearch-roles',
      ].toSorted(),
    )
  })

  it('links alerts to the runbook, at the address of monitoring.runbooks', () => {
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
    [['operator.watchNamespaces={shop,kube-system}'], /must not contain kube-system/],
    [['kafka.scram.plain=false'], /leaves Kafka without a listener: --set kafka\.scram\.enabled=true/],
    [['operator.env.POD_NAMESPACE=other'], /operator\.env\.POD_NAMESPACE is a variable that the chart sets/],
    [['operator.env.OTEL_LOG_LEVEL=debug'], /operator\.env\.OTEL_LOG_LEVEL is a variable that the chart sets/],
    [['operator.allow.env[0]=A\\,B'], /does not match pattern/is],
    [['kafka.enabled=false', 'kafkaUi.enabled=true'], /kafkaUi\.enabled needs kafka\.enabled/],
  ])('rejects the values %j with a readable message', (values, message) => {
    expect(() => rendered(values.flatMap(value => ['--set', value]))).toThrow(message)
  })

  it('renders k8s/operator/operator.yaml, for clusters without Helm, as npm run manifests writes it', () => {
    expect(readFileSync(join(CHART, '../../k8s/operator/operator.yaml'), 'utf8')).toBe(operatorFile())
  })

  it('lets only the account that operator.serviceAccountName names act as the operator', () => {
    const objects = rendered(['--set', 'operator.serviceAccountName=platform-operator'])
    const operators = objects.filter(({ metadata }) => /^salespipeline-operator/.test(metadata.name))
    expect(operators.filter(({ kind }) => kind === 'ServiceAccount')).toEqual([])
    const bindings = operators.filter(({ kind }) => /RoleBinding$/.test(kind))
    expect(bindings.length).toBeGreaterThan(2)
    for (const { subjects } of bindings) expect(subjects[0].name).toBe('platform-operator')
    const policy = operators.find(({ kind }) => kind === 'ValidatingAdmissionPolicy')
    expect(policy.spec.matchConditions[0].expression).toContain(':platform-operator"')
    const removals = operators.find(({ kind, metadata }) => kind === 'Role' && /removals$/.test(metadata.name))
    expect(removals.rules[0].resourceNames).toEqual(['platform-operator'])
  })

  it('gives each pod of its own the scheduling, labels and annotations of pods, and keeps the labels that select it', () => {
    const objects = rendered(['-f', join(CHART, 'ci/tainted-values.yaml')])
    const templates = objects
      .filter(({ kind }) => ['Deployment', 'StatefulSet', 'Job'].includes(kind))
      .map(({ spec }) => [spec.template, spec.selector?.matchLabels ?? {}])
    expect(templates).toHaveLength(5)
    for (const [{ metadata, spec }, selector] of templates) {
      expect(metadata.labels).toMatchObject({ team: 'shop', ...selector })
      expect(metadata.labels['app.kubernetes.io/name']).not.toBe('ignored')
      expect(metadata.annotations).toMatchObject({ 'sidecar.istio.io/inject': 'false' })
      expect(spec.tolerations).toEqual([{ key: 'dedicated', operator: 'Exists' }])
    }
    const check = objects.find(({ kind }) => kind === 'SalesPipeline')
    expect(check.spec.pods).toMatchObject({ nodeSelector: { pool: 'platform' }, priorityClassName: 'platform' })
    const pod = objects.find(({ kind }) => kind === 'Pod')
    expect(pod.spec.tolerations).toEqual([{ key: 'dedicated', operator: 'Exists' }])
  })

  it('gives the chart the version of the project', () => {
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
