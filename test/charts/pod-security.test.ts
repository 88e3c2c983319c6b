/** Every pod that the chart, the manifests and the operator create may run where Pod Security `restricted` is enforced. */
import { globSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { chartShapes, describeWithHelm, rendered } from '../support/helm.ts'
import type { Json } from '../support/kube.ts'
import { hardeningFaults, podsOf, restrictedFaults } from '../support/pod-security.ts'

const ROOT = resolve(import.meta.dirname, '../..')
/** Operators of other projects decide about the rest of their pods. */
const isOurs = (name: string) => !/^(Kafka|entity operator|Elasticsearch|Kibana) /.test(name)
const EVERYTHING = ['--set', 'kafkaUi.enabled=true']

const documents = (file: string): Json[] =>
  parseAllDocuments(readFileSync(file, 'utf8')).flatMap(document => document.toJS() ?? [])

function faultsOf(objects: Json[]): Record<string, string[]> {
  const pods = podsOf(objects).map(({ name, pod }) => [
    name,
    [...restrictedFaults(pod), ...(isOurs(name) ? hardeningFaults(pod) : [])],
  ])
  return Object.fromEntries(pods.filter(([, faults]) => faults!.length > 0))
}

describeWithHelm('pods of the chart', () => {
  it.each(chartShapes())('meet restricted in shape %s', (_, args) => expect(faultsOf(rendered(args))).toEqual({}))

  it('knows all pods of the chart', () => {
    const names = podsOf(rendered(EVERYTHING)).map(({ name }) => name.replace(/-[0-9a-f]{8}$/, ''))
    expect(names.sort()).toEqual([
      'Deployment kafka-ui',
      'Deployment salespipeline-operator',
      'Elasticsearch elasticsearch',
      'Job kibana-import',
      'Job salespipeline-passwords',
      'Kafka kafka',
      'Kibana kibana',
      'Pod helm-test',
      'StatefulSet postgres',
      'entity operator of kafka',
    ])
  })
})

describe('pods of the operator and of the manifests', () => {
  const files = globSync(
    ['test/operator/golden/*/output.yaml', 'test/operator/golden-removal.yaml', 'k8s/operator/*.yaml'],
    {
      cwd: ROOT,
    },
  )

  it('finds the pods of the operator and of the manifests', () => {
    expect(files.length).toBeGreaterThan(7)
    for (const file of files) expect(podsOf(documents(join(ROOT, file))).length, file).toBeGreaterThan(0)
  })
  it.each(files)('meet restricted in %s', file => expect(faultsOf(documents(join(ROOT, file)))).toEqual({}))
})

describe('restrictedFaults', () => {
  const securityContext = { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } }
  const pod = {
    securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
    containers: [{ name: 'x', securityContext }],
  }
  const withContainer = (change: Json) => ({ ...pod, containers: [{ ...pod.containers[0], ...change }] })
  const within = (change: Json) => withContainer({ securityContext: { ...securityContext, ...change } })

  it('accepts a restricted pod', () => expect(restrictedFaults(pod)).toEqual([]))
  it.each<[string, Json]>([
    ['container x may run as root', { ...pod, securityContext: { seccompProfile: { type: 'RuntimeDefault' } } }],
    ['container x may run as root', within({ runAsUser: 0 })],
    ['container x has no seccomp profile', { ...pod, securityContext: { runAsNonRoot: true } }],
    ['container x has no seccomp profile', within({ seccompProfile: { type: 'Unconfined' } })],
    ['container x allowPrivilegeEscalation is not false', within({ allowPrivilegeEscalation: undefined })],
    ['container x does not drop ALL capabilities', within({ capabilities: {} })],
    ['container x adds capabilities', within({ capabilities: { drop: ['ALL'], add: ['SYS_ADMIN'] } })],
    ['container x is privileged', within({ privileged: true })],
    ['container x has a port of the host', withContainer({ ports: [{ hostPort: 80 }] })],
    ['container x has an unmasked /proc', within({ procMount: 'Unmasked' })],
    ['hostNetwork is set', { ...pod, hostNetwork: true }],
    ['volume root is hostPath', { ...pod, volumes: [{ name: 'root', hostPath: { path: '/' } }] }],
    ['sysctls are set', { ...pod, securityContext: { ...pod.securityContext, sysctls: [{ name: 'a', value: 'b' }] } }],
    [
      'container init may run as root',
      { ...pod, initContainers: [{ name: 'init', securityContext: { ...securityContext, runAsNonRoot: false } }] },
    ],
  ])('finds that %s', (fault, faulty) => expect(restrictedFaults(faulty)).toEqual([fault]))
})
