/**
 * The chart on the cluster, and the servers that the operators of Strimzi and ECK would make of its resources: their
 * images cannot be had everywhere (kafka.yaml, elasticsearch.yaml). PostgreSQL is the chart's own.
 */
import { execFileSync } from 'node:child_process'
import { pbkdf2Sync, randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { kubectl } from '#chaos/kubectl.ts'
import { OF_OURS_ALONE } from '../../charts/generate.ts'
import { CHART, helm } from '../support/helm.ts'

const SYSTEM_NAMESPACE = 'salespipeline-system'
export const SYSTEM = ['-n', SYSTEM_NAMESPACE]

/** Real images of PostgreSQL cannot be had everywhere: ours does as the official one does (postgres-entrypoint.sh). */
export const OUR_POSTGRES = ['--set', 'postgres.image=test/postgres:1']
const set = (values: string[]) => ['--set', values.join()]

/** In a namespace of its own, for all of a file's tests. */
export async function installOperator(): Promise<void> {
  const only = set([...OF_OURS_ALONE, 'postgres.mode=external'])
  helm(['upgrade', '--install', 'operator', CHART, ...SYSTEM, '--create-namespace', ...only])
  await operatorIsUp()
}

export const operatorIsUp = (namespace = SYSTEM_NAMESPACE) =>
  kubectl(['-n', namespace, 'rollout', 'status', 'deployment/salespipeline-operator', '--timeout=120s'])

/** PostgreSQL by the chart and Kafka with its topics, for pipelines of an operator elsewhere. */
export async function installStores(namespace: string): Promise<void> {
  const values = set([...OF_OURS_ALONE, 'operator.enabled=false', 'crd.install=false'])
  await makeVolume(namespace, 'data-postgres-0')
  helm([
    'install',
    'stores',
    CHART,
    '-n',
    namespace,
    '-f',
    join(CHART, 'values-laptop.yaml'),
    ...values,
    ...OUR_POSTGRES,
  ])
  await startKafka(namespace)
  await postgresIsUp(namespace)
}

export const postgresIsUp = (namespace: string) =>
  kubectl(['-n', namespace, 'rollout', 'status', 'statefulset/postgres', '--timeout=180s'])

export async function startKafka(namespace: string): Promise<void> {
  await makeVolume(namespace, 'data-kafka-nodes-0')
  await kubectl(['-n', namespace, 'apply', '-f', join(import.meta.dirname, 'kafka.yaml')])
  await kubectl(['-n', namespace, 'rollout', 'status', 'statefulset/kafka-nodes', '--timeout=180s'])
  await kubectl(['-n', namespace, 'wait', '--for=condition=complete', 'job/topics', '--timeout=120s'])
}

/** With the certificate, and the user whose password the chart made. */
export async function startElasticsearch(namespace: string): Promise<void> {
  const secret = JSON.parse(await kubectl(['-n', namespace, 'get', 'secret/elasticsearch', '-o', 'json'])).data
  const roles = JSON.parse(await kubectl(['-n', namespace, 'get', 'secret/elasticsearch-roles', '-o', 'json'])).data
  const [user, password, role] = ['username', 'password', 'roles'].map(key => decoded(secret[key]))
  const { certificate, key } = selfSigned('elasticsearch-es-http')
  const secrets = {
    'elasticsearch-es-http-certs-internal': { 'tls.crt': certificate, 'tls.key': key },
    'elasticsearch-es-http-certs-public': { 'ca.crt': certificate, 'tls.crt': certificate },
    'elasticsearch-es-file-realm': {
      users: `${user}:${hashed(password!)}\n`,
      users_roles: `${role}:${user}\n`,
      'roles.yml': decoded(roles['roles.yml']),
    },
  }
  for (const [name, stringData] of Object.entries(secrets))
    await create({ apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace }, stringData })
  await makeVolume(namespace, 'elasticsearch-data-elasticsearch-es-default-0')
  await kubectl(['-n', namespace, 'apply', '-f', join(import.meta.dirname, 'elasticsearch.yaml')])
  await kubectl(['-n', namespace, 'rollout', 'status', 'statefulset/elasticsearch-es-default', '--timeout=300s'])
}

const decoded = (text: string) => Buffer.from(text, 'base64').toString()
const create = (object: object) => kubectl(['apply', '-f', '-'], stringify(object))

/** As Elasticsearch's file realm reads it. */
function hashed(password: string): string {
  const salt = randomBytes(32)
  const hash = pbkdf2Sync(password, salt, 10_000, 32, 'sha512')
  return `{PBKDF2}10000$${salt.toString('base64')}$${hash.toString('base64')}`
}

function selfSigned(host: string): { certificate: string; key: string } {
  const folder = mkdtempSync(join(tmpdir(), 'certificate-'))
  try {
    const [key, certificate] = [join(folder, 'tls.key'), join(folder, 'tls.crt')]
    const about = ['-subj', `/CN=${host}`, '-addext', `subjectAltName=DNS:${host}`]
    const files = ['-keyout', key, '-out', certificate]
    execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '30', ...about, ...files], {
      stdio: 'pipe',
    })
    return { certificate: readFileSync(certificate, 'utf8'), key: readFileSync(key, 'utf8') }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * Where the cluster makes none by itself, STORAGE_DIR names a folder that all its nodes share; the volume is that of a
 * network's storage then: whichever node the pod comes to, its data is there.
 */
export async function makeVolume(namespace: string, claim: string): Promise<void> {
  const shared = process.env.STORAGE_DIR
  if (!shared) return
  const name = `${namespace}-${claim}`
  const path = join(shared, name)
  mkdirSync(path, { recursive: true })
  chmodSync(path, 0o777) // a folder of the host belongs to no user of a pod
  await create({
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name },
    spec: {
      capacity: { storage: '100Gi' },
      accessModes: ['ReadWriteOnce'],
      storageClassName: 'by-hand',
      persistentVolumeReclaimPolicy: 'Retain',
      claimRef: { namespace, name: claim },
      hostPath: { path },
    },
  })
}
