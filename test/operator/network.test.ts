/**
 * Evaluates the policies of every golden shape for each connection that a pipeline needs and each that must be blocked.
 * The evaluation (test/support) follows the API reference of NetworkPolicy and shares no code with the operator.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { ofPipelines, ofPlatform, PODS, type Ports, type Role, type Ruled } from '#test/cluster/connections.ts'
import { judge, onePodEach, text } from '#test/support/judged.ts'
import { type Cluster, evaluate, type NetworkPolicy, type Pod } from '#test/support/network-policy.ts'
import { outputFile, SHAPES } from './golden.ts'

type Deployment = { metadata: { name: string; namespace: string }; spec: { template: Pod } }
const inputOf = (shape: string) => parse(readFileSync(join(outputFile(shape), '../input.yaml'), 'utf8'))
const OBJECTS = new Map(
  SHAPES.map(shape => [shape, parseAllDocuments(readFileSync(outputFile(shape), 'utf8')).map(one => one.toJS())]),
)
const objectsOf = <T>(shape: string, kind: string) => OBJECTS.get(shape)!.filter(object => object.kind === kind) as T[]

/** Reads the ports from a document without code of the operator. */
function portsOf(shape: string): Ports {
  const { resource, telemetry } = inputOf(shape)
  const { source, sinks } = resource.spec
  const of = (url: string) => Number(new URL(url).port || { 'http:': 80, 'https:': 443 }[new URL(url).protocol])
  return {
    kafka: source.bootstrapServers.map((server: string) => Number(server.split(':')[1])),
    postgres: sinks?.postgres?.port ?? 5432,
    elasticsearch: (sinks?.elasticsearch?.nodes ?? []).map(of),
    otlp: telemetry ? [of(telemetry.OTEL_EXPORTER_OTLP_ENDPOINT)] : [],
  }
}

/** The pods of a shape with the labels of its Deployments, and one pod for each other role, on another node. */
function clusterOf(shape: string): Cluster {
  const { name, namespace } = inputOf(shape).resource.metadata
  const { namespaces, pods } = onePodEach(namespace, { 'app.kubernetes.io/instance': name })
  const labelled = pods.map(pod => {
    const role = pod.metadata.name
    const deployment = objectsOf<Deployment>(shape, 'Deployment').find(({ spec }) => role === roleOf(spec.template))
    if (!deployment) return pod
    const { template } = deployment.spec
    return { ...pod, metadata: { ...pod.metadata, ...template.metadata }, spec: template.spec }
  })
  return { policies: objectsOf<NetworkPolicy>(shape, 'NetworkPolicy'), namespaces, pods: labelled }
}

const roleOf = ({ metadata }: Pod) => {
  const component = metadata.labels?.['app.kubernetes.io/component']
  return component === 'processor' ? 'worker' : component
}

/** Leaves out load and ingest for shapes without them: these have no such policies and pods. */
const rulesFor = (shape: string, rules: Ruled[]) => {
  const deployed = new Set(objectsOf<Deployment>(shape, 'Deployment').map(({ spec }) => roleOf(spec.template)))
  const isAbsent = (role: Role) => ['load', 'ingest'].includes(role) && !deployed.has(role)
  return rules.filter(({ from, to }) => !isAbsent(from) && !isAbsent(to))
}
/** Egress is limited by port only: if a store listens on 443, its clients may connect to port 443 of any address. */
const isOpenByPort = (ports: Ports, { from, to, port }: Ruled) =>
  ['worker', 'removal'].includes(from) && to === 'internet' && ports.elasticsearch.includes(port)

describe('the network policies', () => {
  it.each(SHAPES)('allow every needed connection of %s', shape => {
    const rules = rulesFor(shape, ofPipelines(portsOf(shape)).pass)
    expect(rules.length).toBeGreaterThan(8)
    const cluster = clusterOf(shape)
    expect(rules.map(rule => judge(cluster, rule))).toEqual(rules.map(rule => `${text(rule)} passes`))
  })

  it.each(SHAPES)('block every forbidden connection of %s', shape => {
    const ports = portsOf(shape)
    const rules = rulesFor(shape, ofPipelines(ports).fail).filter(rule => !isOpenByPort(ports, rule))
    expect(rules.length).toBeGreaterThan(20)
    const cluster = clusterOf(shape)
    expect(rules.map(rule => judge(cluster, rule))).toEqual(rules.map(rule => `${text(rule)} is refused`))
  })
})

it('checks every rule on the shape with all parts, except the port that a store has opened', () => {
  const shape = 'load-and-ingest'
  const { pass, fail } = ofPipelines(portsOf(shape))
  expect(rulesFor(shape, pass)).toEqual(pass)
  expect(rulesFor(shape, fail)).toEqual(fail)
  const open = fail.filter(rule => isOpenByPort(portsOf(shape), rule))
  expect(open.map(rule => judge(clusterOf(shape), rule))).toEqual([
    'worker > internet:443/TCP passes',
    'removal > internet:443/TCP passes',
  ])
})

it('allows every connection without policies, so that a blocked one is blocked by a policy', () => {
  const cluster = { ...clusterOf('load-and-ingest'), policies: [] }
  const rules = [ofPipelines(), ofPlatform()].flatMap(({ pass, fail }) => [...pass, ...fail])
  expect(rules.map(rule => judge(cluster, rule))).toEqual(rules.map(rule => `${text(rule)} passes`))
})

it('forbids no connection that is needed', () => {
  const [pipelines, platform] = [ofPipelines(), ofPlatform()]
  const needed = new Set([...pipelines.pass, ...platform.pass].map(text))
  expect([...pipelines.fail, ...platform.fail].map(text).filter(rule => needed.has(rule))).toEqual([])
})

describe('a known limit of the network policies', () => {
  const cluster = clusterOf('load-and-ingest')
  const verdictOn = (from: Role, to: Role, port: number, protocol: 'TCP' | 'UDP' = 'TCP') =>
    judge(cluster, { from, to, port, protocol, why: '' })

  it('allows a port of Kafka, a store or DNS at every address (known limit)', () => {
    expect(verdictOn('worker', 'internet', 9092)).toContain('passes')
    expect(verdictOn('worker', 'stranger', 6432)).toContain('passes')
    expect(verdictOn('ingest', 'internet', 53, 'UDP')).toContain('passes')
  })

  it('lets any pod with the label prometheus read metrics (known limit)', () => {
    const pods = cluster.pods.map(pod =>
      pod.metadata.name === 'foreigner' ? { ...pod, metadata: { ...pod.metadata, labels: PODS.prometheus } } : pod,
    )
    const connection = { from: 'elsewhere/foreigner', to: 'default/worker', port: 8080 }
    expect(evaluate(cluster, connection).allowed).toBe(false)
    expect(evaluate({ ...cluster, pods }, connection).allowed).toBe(true)
  })

  it('blocks a Service whose port differs from that of its pods, such as 443 for 9200 (known limit)', () => {
    expect(verdictOn('worker', 'elasticsearch', 443)).toContain('passes')
    expect(verdictOn('worker', 'elasticsearch', 9200)).toContain('is refused')
  })
})
