/**
 * Installs the chart on the cluster, and the servers that the operators of Strimzi and ECK would create from its resources:
 * their images are not available everywhere (kafka.yaml, elasticsearch.yaml). PostgreSQL is the chart's own.
 */
import { execFileSync } from 'node:child_process'
import { pbkdf2Sync, randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { kubectl } from '#chaos/kubectl.ts'
import { WITHOUT_OTHER_OPERATORS } from '../../charts/generate.ts'
import { CHART, helm } from '../support/helm.ts'

const SYSTEM_NAMESPACE = 'salespipeline-system'
export const SYSTEM = ['-n', SYSTEM_NAMESPACE]

/** The official image of PostgreSQL is not available everywhere; ours behaves like it (postgres-entrypoint.sh). */
export const OUR_POSTGRES = ['--set', 'postgres.image=test/postgres:1']
const set = (values: string[]) => ['--set', values.join()]

/** Installs the operator in its own namespace, for all tests of a file. */
export async function installOperator(): Promise<void> {
  const only = set([...WITHOUT_OTHER_OPERATORS, 'postgres.mode=external'])
  helm(['upgrade', '--install', 'operator', CHART, ...SYSTEM, '--create-namespace', ...only])
  await operatorIsUp()
}

export const operatorIsUp = (namespace = SYSTEM_NAMESPACE) =>
  kubectl(['-n', namespace, 'rollout', 'status', 'deployment/salespipeline-operator', '--timeout=120s'])

/** Installs PostgreSQL by the chart, and Kafka with its topics, for pipelines of an operator in another namespace. */
export async function installStores(namespace: string): Promise<void> {
  const values = set([...WITHOUT_OTHER_OPERATORS, 'operator.enabled=false', 'crd.install=false'])
  await createVolume(namespace, 'data-postgres-0')
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
  await createVolume(namespace, 'data-kafka-nodes-0')
  await kubectl(['-n', namespace, 'apply', '-f', join(import.meta.dirname, 'kafka.yaml')])
  await kubectl(['-n', namespace, 'rollout', 'status', 'statefulset/kafka-nodes', '--timeout=180s'])
  await kubectl(['-n', namespace, 'wait', '--for=condition=complete', 'job/topics', '--timeout=120s'])
}

/** Starts Elasticsearch with a certificate, and with the user whose password the chart generated. */
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
  await createVolume(namespace, 'elasticsearch-data-elasticsearch-es-default-0')
  await kubectl(['-n', namespace, 'apply', '-f', join(import.meta.dirname, 'elasticsearch.yaml')])
  await kubectl(['-n', namespace, 'rollout', 'status', 'statefulset/elasticsearch-es-default', '--timeout=300s'])
}

const decoded = (text: string) => Buffer.from(text, 'base64').toString()
const create = (object: object) => kubectl(['apply', '-f', '-'], stringify(object))

/** Hashes a password for Elasticsearch's file realm. */
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
 * Creates a volume, in clusters that do not create volumes themselves. STORAGE_DIR names a folder that all nodes share, so
 * that a pod finds its data on every node, as on network storage.
 */
export async function createVolume(namespace: string, claim: string): Promise<void> {
  const shared = process.env.STORAGE_DIR
  if (!shared) return
  const name = `${namespace}-${claim}`
  const path = join(shared, name)
  mkdirSync(path, { recursive: true })
  chmodSync(path, 0o777) // so that the user of the pod can write
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
