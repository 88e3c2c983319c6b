/**
 * The policies of every golden shape, asked about all that a pipeline must reach and about what must not get through.
 * Whoever judges knows NetworkPolicy from its API reference, and nothing of the operator.
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

/** The ports of a document, read without the operator. */
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

/** The pods of a shape as its Deployments make them, and one for each other role, on another node. */
function clusterOf(shape: string): Cluster {
  const { name, namespace } = inputOf(shape).resource.metadata
  const { namespaces, pods } = onePodEach(namespace, { 'app.kubernetes.io/instance': name })
  const asMade = pods.map(pod => {
    const role = pod.metadata.name
    const made = objectsOf<Deployment>(shape, 'Deployment').find(({ spec }) => role === roleOf(spec.template))
    if (!made) return pod
    return { ...pod, metadata: { ...pod.metadata, ...made.spec.template.metadata }, spec: made.spec.template.spec }
  })
  return { policies: objectsOf<NetworkPolicy>(shape, 'NetworkPolicy'), namespaces, pods: asMade }
}

const roleOf = ({ metadata }: Pod) => {
  const component = metadata.labels?.['app.kubernetes.io/component']
  return component === 'processor' ? 'worker' : component
}

/** A shape without load or ingest has no policies for them, and no such pods. */
const concerning = (shape: string, rules: Ruled[]) => {
  const made = new Set(objectsOf<Deployment>(shape, 'Deployment').map(({ spec }) => roleOf(spec.template)))
  const isAbsent = (role: Role) => ['load', 'ingest'].includes(role) && !made.has(role)
  return rules.filter(({ from, to }) => !isAbsent(from) && !isAbsent(to))
}
/** Egress is by port alone: where a store listens on 443, all the world’s 443 is open to whoever writes to it. */
const isOpenByPort = (ports: Ports, { from, to, port }: Ruled) =>
  ['worker', 'removal'].includes(from) && to === 'internet' && ports.elasticsearch.includes(port)

describe('the network policies', () => {
  it.each(SHAPES)('allow every needed connection of %s', shape => {
    const rules = concerning(shape, ofPipelines(portsOf(shape)).pass)
    expect(rules.length).toBeGreaterThan(8)
    const cluster = clusterOf(shape)
    expect(rules.map(rule => judge(cluster, rule))).toEqual(rules.map(rule => `${text(rule)} passes`))
  })

  it.each(SHAPES)('block every forbidden connection of %s', shape => {
    const ports = portsOf(shape)
    const rules = concerning(shape, ofPipelines(ports).fail).filter(rule => !isOpenByPort(ports, rule))
    expect(rules.length).toBeGreaterThan(20)
    const cluster = clusterOf(shape)
    expect(rules.map(rule => judge(cluster, rule))).toEqual(rules.map(rule => `${text(rule)} is refused`))
  })
})

it('asks every question about the shape with all parts, except the port that a store has opened', () => {
  const shape = 'load-and-ingest'
  const { pass, fail } = ofPipelines(portsOf(shape))
  expect(concerning(shape, pass)).toEqual(pass)
  expect(concerning(shape, fail)).toEqual(fail)
  const open = fail.filter(rule => isOpenByPort(portsOf(shape), rule))
  expect(open.map(rule => judge(clusterOf(shape), rule))).toEqual([
    'worker > internet:443/TCP passes',
    'removal > internet:443/TCP passes',
  ])
})

it('lets every connection pass without policies, so that no question answers itself', () => {
  const cluster = { ...clusterOf('load-and-ingest'), policies: [] }
  const rules = [ofPipelines(), ofPlatform()].flatMap(({ pass, fail }) => [...pass, ...fail])
  expect(rules.map(rule => judge(cluster, rule))).toEqual(rules.map(rule => `${text(rule)} passes`))
})

it('has no connection that is both needed and forbidden', () => {
  const [pipelines, platform] = [ofPipelines(), ofPlatform()]
  const needed = new Set([...pipelines.pass, ...platform.pass].map(text))
  expect([...pipelines.fail, ...platform.fail].map(text).filter(rule => needed.has(rule))).toEqual([])
})

describe('known limits of the network policies', () => {
  const cluster = clusterOf('load-and-ingest')
  const asked = (from: Role, to: Role, port: number, protocol: 'TCP' | 'UDP' = 'TCP') =>
    judge(cluster, { from, to, port, protocol, why: '' })

  it('open a port of Kafka, a store or DNS at every address', () => {
    expect(asked('worker', 'internet', 9092)).toContain('passes')
    expect(asked('worker', 'stranger', 6432)).toContain('passes')
    expect(asked('ingest', 'internet', 53, 'UDP')).toContain('passes')
  })

  it('let any pod that is labelled prometheus read metrics', () => {
    const pods = cluster.pods.map(pod =>
      pod.metadata.name === 'foreigner' ? { ...pod, metadata: { ...pod.metadata, labels: PODS.prometheus } } : pod,
    )
    const connection = { from: 'elsewhere/foreigner', to: 'default/worker', port: 8080 }
    expect(evaluate(cluster, connection).allowed).toBe(false)
    expect(evaluate({ ...cluster, pods }, connection).allowed).toBe(true)
  })

  it('refuse a Service that listens on another port than its pods, such as 443 before 9200', () => {
    expect(asked('worker', 'elasticsearch', 443)).toContain('passes')
    expect(asked('worker', 'elasticsearch', 9200)).toContain('is refused')
  })
})
