/** Installs our CRD, the CRDs of operators that we depend on, and our RBAC on an API server, and runs our operator on it. */
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { KubeConfig } from '@kubernetes/client-node'
import { parseAllDocuments } from 'yaml'
import { CHART, WITHOUT_OTHER_OPERATORS } from '#charts/generate.ts'
import { chance, clock } from '#common/world.ts'
import { CRD_FILE } from '#operator/crd/generate.ts'
import { runOperator } from '#operator/operator.ts'
import type { Settings } from '#operator/settings.ts'
import { onCluster } from '../pipeline/documents.ts'
import { type ApiServerAddress, CRDS_DIR } from '../support/api-server.ts'
import type { Json, Kube } from '../support/kube.ts'
import { until } from '../support/until.ts'

export const SYSTEM = 'salespipeline-system'
const MANIFESTS = `${import.meta.dirname}/../../k8s/operator/operator.yaml`

const parsed = (text: string): Json[] => parseAllDocuments(text).flatMap(document => document.toJS() ?? [])
const documentsOf = (file: string) => parsed(readFileSync(file, 'utf8'))

/** Kinds of the operator's objects that matter without its pods: here it runs in the test's process. */
const COLLECTIONS: Record<string, (namespace: string) => string> = {
  Namespace: () => '/api/v1/namespaces',
  ServiceAccount: namespace => `/api/v1/namespaces/${namespace}/serviceaccounts`,
  ClusterRole: () => '/apis/rbac.authorization.k8s.io/v1/clusterroles',
  ClusterRoleBinding: () => '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings',
  Role: namespace => `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}/roles`,
  RoleBinding: namespace => `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}/rolebindings`,
  ValidatingAdmissionPolicy: () => '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies',
  ValidatingAdmissionPolicyBinding: () => '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings',
}

/** Installs the project's manifests, as a user does. */
export async function installOperator(kube: Kube): Promise<void> {
  for (const crd of documentsOf(CRD_FILE)) await kube.installCrd(crd)
  await installObjects(kube, documentsOf(MANIFESTS))
}

/** Does the same with the chart and these values, such as `operator.watchNamespaces={a,b}`. */
export async function installChart(kube: Kube, ...values: string[]): Promise<void> {
  for (const crd of documentsOf(CRD_FILE)) await kube.installCrd(crd)
  const settings = [...WITHOUT_OTHER_OPERATORS, 'postgres.mode=external', 'crd.install=false', ...values]
  const args = ['template', 'operator', CHART, '--namespace', SYSTEM, '--skip-tests']
  const rendered = execFileSync(process.env.HELM!, [...args, ...settings.flatMap(value => ['--set', value])], {
    encoding: 'utf8',
  })
  await kube.demand('POST', '/api/v1/namespaces', { metadata: { name: SYSTEM } })
  await installObjects(kube, parsed(rendered))
}

async function installObjects(kube: Kube, objects: Json[]): Promise<void> {
  for (const object of objects) {
    const collection = COLLECTIONS[object.kind]?.(object.metadata.namespace)
    if (!collection) continue
    const { code, body } = await kube.request('POST', collection, object)
    if (code !== 409 && code >= 300) throw new Error(body.message)
  }
}

/** Installs the CRDs of the Strimzi and Prometheus operators from CRDS_DIR. */
export async function installForeignCrds(kube: Kube): Promise<void> {
  for (const file of foreignCrds()) for (const crd of documentsOf(file)) await kube.installCrd(crd)
}

function foreignCrds(): string[] {
  return ['strimzi', 'prometheus-operator']
    .flatMap(folder => readdirSync(join(CRDS_DIR, folder)).map(name => join(CRDS_DIR, folder, name)))
    .filter(file => /043-Crd-kafkatopic|podmonitors/.test(file))
}

/** Resolves with a token of the operator's ServiceAccount, as its pod gets one. */
export async function operatorToken(kube: Kube, seconds = 3600): Promise<string> {
  const path = `/api/v1/namespaces/${SYSTEM}/serviceaccounts/salespipeline-operator/token`
  const { status } = await kube.demand('POST', path, { spec: { expirationSeconds: seconds } })
  return status.token
}

export type RunningOperator = {
  lines: string[]
  url: string
  /** Sum of the series whose text begins like this, less those that begin like `without`, all read at one time. */
  metric(name: string, without?: string): Promise<number>
  /** Stops it as SIGTERM does. */
  stop(): Promise<'stopped' | 'lost'>
  ended: Promise<'stopped' | 'lost'>
  hasEnded(): boolean
}

export type OperatorOptions = {
  address: ApiServerAddress
  identity?: string
  token?: string
  config?: KubeConfig
  staleAfterMs?: number
  topicNamespaces?: string[]
  watchNamespaces?: string[]
  envSecrets?: boolean
}

export async function startOperator({
  address,
  identity = 'a',
  token,
  config,
  staleAfterMs,
  topicNamespaces = [],
  watchNamespaces = [],
  envSecrets = false,
}: OperatorOptions): Promise<RunningOperator> {
  const settings: Settings = {
    images: { processor: 'processor:1', producer: 'producer:1', pullPolicy: 'IfNotPresent', pullSecrets: [] },
    telemetry: {},
    namespace: SYSTEM,
    topicNamespaces,
    allowed: { serviceAccounts: ['shop-*'], imagePullSecrets: ['registry'], env: ['TZ', 'SHOP_*'], envSecrets },
    watchNamespaces,
    identity,
    account: 'salespipeline-operator',
    httpHost: '127.0.0.1',
    httpPort: 0,
    logLevel: 'info',
    concurrency: 8,
  }
  const stopping = new AbortController()
  const lines: string[] = []
  const log = (level: string, message: string, fields: object = {}) =>
    void lines.push(`${level} ${message} ${JSON.stringify(fields)}`)
  let port = 0
  const world = { clock, chance, log, ...(staleAfterMs && { staleAfterMs }) }
  const ended = runOperator(config ?? configFor(address, token!), settings, world, stopping.signal, p => (port = p))
  let hasEnded = false
  const settled = () => void (hasEnded = true)
  ended.then(settled, settled)
  await until('the operator listens', () => port > 0)
  return {
    lines,
    url: `http://127.0.0.1:${port}`,
    ended,
    hasEnded: () => hasEnded,
    async metric(name, without) {
      const lines = (await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()).split('\n')
      const sum = (start: string) =>
        lines
          .filter(line => line.startsWith(start) && /^[{ ]/.test(line.slice(start.length)))
          .reduce((total, line) => total + Number(line.split(' ').at(-1)), 0)
      return sum(name) - (without ? sum(without) : 0)
    },
    stop() {
      stopping.abort()
      return ended
    },
  }
}

export function configFor({ url, caFile }: ApiServerAddress, token: string): KubeConfig {
  const config = new KubeConfig()
  const caData = readFileSync(caFile).toString('base64')
  // The test proxy speaks plain HTTP.
  const plain = url.startsWith('http:')
  config.loadFromClusterAndUser(
    { name: 'test', server: url, ...(plain ? { skipTLSVerify: true } : { caData, skipTLSVerify: false }) },
    { name: 'operator', token },
  )
  return config
}

export function pipelineNamed(name: string, spec: object = {}): Json {
  return onCluster({
    apiVersion: 'salespipeline.dev/v1alpha1',
    kind: 'SalesPipeline',
    metadata: { name },
    spec: {
      source: { topic: name, bootstrapServers: ['kafka:9092'] },
      event: { time: { path: 'at' }, fields: [{ name: 'store' }] },
      aggregations: [{ name: 'by_store', groupBy: ['store'], measures: [{ name: 'orders', op: 'count' }] }],
      ...spec,
    },
  }) as Json
}

/** Path of the Job that removes the data of a deleted pipeline. */
export const removalJobPath = (namespace: string, pipeline: string, uid: string) =>
  `/apis/batch/v1/namespaces/${namespace}/jobs/${pipeline}-removal-${uid.slice(0, 8)}`

/** No controller runs Jobs here. */
export async function completeJob(kube: Kube, path: string): Promise<void> {
  const now = new Date().toISOString().replace(/\.\d+/, '')
  const conditions = ['SuccessCriteriaMet', 'Complete'].map(type => ({ type, status: 'True', lastTransitionTime: now }))
  const status = { succeeded: 1, startTime: now, completionTime: now, conditions }
  await kube.demand('PATCH', `${path}/status`, { status }, 'application/merge-patch+json')
}
