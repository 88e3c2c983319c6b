/** Serves and stores pipelines in a later version of the CRD, and goes back, by the commands of the runbook. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { customResourceDefinition } from '#operator/crd/definition.ts'
import { type ApiServer, describeWithApiServer } from '../support/api-server.ts'
import { type Json, Kube } from '../support/kube.ts'
import { writeKubeconfig } from '../support/kubeconfig.ts'
import { ownApiServer, temporaryFolder } from '../support/services.ts'
import { until } from '../support/until.ts'
import { installOperator, operatorToken, pipelineNamed, type RunningOperator, startOperator } from './rig.ts'

const NAMESPACE = 'shop'
const NAMES = ['first', 'second']
const RUNBOOK = join(import.meta.dirname, '../../docs/operations.md')
const CRD = customResourceDefinition().metadata.name
const CRD_PATH = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${CRD}`

let server: ApiServer
let kube: Kube
let operator: RunningOperator
let kubeconfig: string

/** The CRD with these versions, which have one schema; pipelines are stored in the first. */
function crdWith(...versions: string[]): Json {
  const crd: Json = customResourceDefinition()
  const [only] = crd.spec.versions
  crd.spec.versions = versions.map((name, i) => ({ ...only, name, storage: i === 0 }))
  return crd
}

const serve = (...versions: string[]) => kube.installCrd(crdWith(...versions))
const pathIn = (version: string, name: string) =>
  `/apis/salespipeline.dev/${version}/namespaces/${NAMESPACE}/salespipelines/${name}`
const deploymentOf = (name: string) => kube.find(`/apis/apps/v1/namespaces/${NAMESPACE}/deployments/${name}-processor`)

/** Runs the commands of the runbook that store every pipeline again, for another version. */
async function storeAgain(version: string): Promise<void> {
  const [, section] = readFileSync(RUNBOOK, 'utf8').split('### A later version of the CRD\n')
  const commands = /```sh\n(.+?)```/s.exec(section!)![1]!
  const env = { ...process.env, KUBECONFIG: kubeconfig }
  await promisify(execFile)('bash', ['-euo', 'pipefail', '-c', commands.replaceAll('v1beta1', version)], { env })
}

/** Resolves with the version in which etcd has the pipeline. */
async function storedVersion(name: string): Promise<string> {
  const key = Buffer.from(`/registry/salespipeline.dev/salespipelines/${NAMESPACE}/${name}`).toString('base64')
  const response = await fetch(`${server.etcdUrl}/v3/kv/range`, { method: 'POST', body: JSON.stringify({ key }) })
  const { kvs } = (await response.json()) as { kvs: { value: string }[] }
  return JSON.parse(Buffer.from(kvs[0]!.value, 'base64').toString()).apiVersion
}

/** What must not change with the stored version: the documents and their generations, and the Deployments. */
async function snapshot(): Promise<Json[]> {
  return Promise.all(
    NAMES.map(async name => {
      const { spec, metadata } = await kube.demand('GET', kube.pipelinePath(NAMESPACE, name))
      const deployment = await deploymentOf(name)
      const { uid, generation } = metadata
      return { spec, uid, generation, deployment: [deployment.metadata.uid, deployment.metadata.generation] }
    }),
  )
}

describeWithApiServer('a later version of the CRD', () => {
  beforeAll(async () => {
    server = await ownApiServer('versions')
    kube = new Kube(server)
    await installOperator(kube)
    await kube.namespace(NAMESPACE)
    kubeconfig = writeKubeconfig(join(temporaryFolder('versions'), 'kubeconfig'), server)
    operator = await startOperator({ address: server, token: await operatorToken(kube) })
    for (const name of NAMES) await kube.demand('POST', kube.pipelinePath(NAMESPACE), pipelineNamed(name))
    for (const name of NAMES) await until(`the Deployment of ${name} exists`, () => deploymentOf(name))
  })
  afterAll(async () => {
    await operator?.stop()
    await server?.stop()
  })

  it('stores every pipeline in it, while the operator of this release continues and no pod is replaced', async () => {
    const before = await snapshot()
    await serve('v1alpha1', 'v1beta1')
    expect((await kube.demand('GET', pathIn('v1beta1', 'first'))).spec).toEqual(before[0].spec)
    expect(await storedVersion('first')).toBe('salespipeline.dev/v1alpha1')

    await serve('v1beta1', 'v1alpha1')
    expect(await storedVersion('first')).toBe('salespipeline.dev/v1alpha1')
    const early = await kube.request('PUT', CRD_PATH, {
      ...crdWith('v1beta1'),
      metadata: (await kube.demand('GET', CRD_PATH)).metadata,
    })
    expect(early.body.message).toContain('status.storedVersions[0]')

    await storeAgain('v1beta1')
    for (const name of NAMES) expect(await storedVersion(name)).toBe('salespipeline.dev/v1beta1')
    expect((await kube.demand('GET', CRD_PATH)).status.storedVersions).toEqual(['v1beta1'])
    expect(await snapshot()).toEqual(before)
  })

  it('lets the operator create and change the workers of pipelines that are written in it', async () => {
    const path = pathIn('v1beta1', 'third')
    const third = { ...pipelineNamed('third'), apiVersion: 'salespipeline.dev/v1beta1' }
    await kube.demand('POST', path.replace('/third', ''), third)
    await until('its Deployment exists', () => deploymentOf('third'))
    await kube.demand('PATCH', path, { spec: { workers: { replicas: 3 } } }, 'application/merge-patch+json')
    await until('its Deployment has 3 replicas', async () => (await deploymentOf('third'))?.spec.replicas === 3)
    await until('its status is written', async () => (await kube.demand('GET', path)).status?.conditions?.length > 0)
    NAMES.push('third')
  })

  it('goes back to the older version with every pipeline, and without replacing a pod', async () => {
    const before = await snapshot()
    await serve('v1alpha1', 'v1beta1')
    await storeAgain('v1alpha1')
    await serve('v1alpha1')
    for (const name of NAMES) expect(await storedVersion(name)).toBe('salespipeline.dev/v1alpha1')
    expect((await kube.request('GET', pathIn('v1beta1', 'first'))).code).toBe(404)
    expect(await snapshot()).toEqual(before)

    const replicas = { spec: { workers: { replicas: 4 } } }
    await kube.demand('PATCH', kube.pipelinePath(NAMESPACE, 'first'), replicas, 'application/merge-patch+json')
    await until('the operator follows a change', async () => (await deploymentOf('first'))?.spec.replicas === 4)
  })
})
