/**
 * A real Kubernetes API server with its etcd, without nodes or controllers, from the binaries in KUBEBUILDER_ASSETS (the
 * convention of controller-runtime's envtest). What a controller manager would do (garbage collection, pods of a
 * Deployment) does not happen there: tests that need it run on a cluster (test/cluster).
 */
import { generateKeyPairSync } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { get } from 'node:https'
import { join } from 'node:path'
import { describe } from 'vitest'
import { type ServerOptions, ServerProcess, stablePort } from '#local/services/process.ts'

const ASSETS = process.env.KUBEBUILDER_ASSETS ?? ''
const HOST = '127.0.0.1'
const ADMIN_TOKEN = 'admin'
/** CRDs of the operators that ours needs: folders strimzi and prometheus-operator, as these projects publish them. */
export const CRDS_DIR = process.env.CRDS_DIR ?? ''

const INSTRUCTIONS = {
  server:
    'set KUBEBUILDER_ASSETS to a folder with kube-apiserver and etcd (setup-envtest use 1.34.x -p path prints one)',
  crds: 'set CRDS_DIR to a folder with the CRDs of Strimzi (strimzi/) and of Prometheus’ operator (prometheus-operator/)',
}

/** `describe` when an API server is installed, else a skipped one that says how to get it. */
export const describeWithApiServer = (name: string, tests: () => void, missing = missingPrerequisite()) =>
  missing === null ? describe(name, tests) : describe.skip(`${name} (skipped: ${missing})`, tests)

/** Does the same for tests that also need the CRDs of other operators. */
export const describeWithCrds = (name: string, tests: () => void) =>
  describeWithApiServer(
    name,
    tests,
    missingPrerequisite() ?? (existsSync(join(CRDS_DIR, 'strimzi')) ? null : INSTRUCTIONS.crds),
  )

function missingPrerequisite(): string | null {
  return existsSync(join(ASSETS, 'kube-apiserver')) ? null : INSTRUCTIONS.server
}

export type ApiServerAddress = { url: string; caFile: string; token: string }
export type ApiServer = ServerProcess & ApiServerAddress & { etcd: ServerProcess; etcdUrl: string }

export async function startApiServer({ dataDir, temporary }: ServerOptions): Promise<ApiServer> {
  const etcd = etcdServer(join(dataDir, 'etcd'), temporary)
  await etcd.start()
  const { server, port } = await apiServer(dataDir, etcd.url(), temporary)
  await server.start()
  const stop = server.stop.bind(server)
  server.stop = () => stop().then(() => etcd.stop())
  const caFile = join(dataDir, 'pki', 'apiserver.crt')
  return Object.assign(server, {
    etcd,
    etcdUrl: etcd.url(),
    url: `https://${HOST}:${port}`,
    caFile,
    token: ADMIN_TOKEN,
  })
}

function etcdServer(folder: string, temporary: boolean | undefined) {
  let url = ''
  const server = new ServerProcess({
    name: 'etcd',
    dataDir: folder,
    temporary,
    prepare: async () => {
      const port = await stablePort(folder, 'etcd', undefined)
      const peer = `http://${HOST}:${await stablePort(folder, 'peer', undefined)}`
      url = `http://${HOST}:${port}`
      const args = [
        `--data-dir=${join(folder, 'data')}`,
        `--listen-client-urls=${url}`,
        `--advertise-client-urls=${url}`,
        `--listen-peer-urls=${peer}`,
        `--initial-advertise-peer-urls=${peer}`,
        `--initial-cluster=default=${peer}`,
        '--unsafe-no-fsync',
        '--log-level=warn',
      ]
      return { command: join(ASSETS, 'etcd'), args, cwd: folder, port, stopSignal: 'SIGTERM' }
    },
    isReady: () => fetch(`${url}/health`).then(response => response.ok),
    readyWithinMs: 60_000,
  })
  return Object.assign(server, { url: () => url })
}

async function apiServer(dataDir: string, etcd: string, temporary: boolean | undefined) {
  const folder = join(dataDir, 'pki')
  const port = await stablePort(folder, 'api', undefined)
  const server = new ServerProcess({
    name: 'kube-apiserver',
    dataDir: folder,
    temporary,
    prepare: async () => {
      writeKeys(folder)
      const args = [
        `--etcd-servers=${etcd}`,
        `--bind-address=${HOST}`,
        `--secure-port=${port}`,
        `--cert-dir=${folder}`,
        `--token-auth-file=${join(folder, 'tokens.csv')}`,
        `--service-account-key-file=${join(folder, 'sa.pub')}`,
        `--service-account-signing-key-file=${join(folder, 'sa.key')}`,
        '--service-account-issuer=https://kubernetes.default.svc',
        '--service-cluster-ip-range=10.0.0.0/16',
        '--authorization-mode=RBAC',
        // No controller creates the namespaces' default ServiceAccounts here.
        '--disable-admission-plugins=ServiceAccount',
        '--profiling=false',
      ]
      return { command: join(ASSETS, 'kube-apiserver'), args, cwd: folder, port, stopSignal: 'SIGKILL' }
    },
    isReady: () => isServing(port, join(folder, 'apiserver.crt')),
    readyWithinMs: 120_000,
  })
  return { server, port }
}

function writeKeys(folder: string): void {
  if (existsSync(join(folder, 'sa.key'))) return
  const { privateKey, publicKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  })
  writeFileSync(join(folder, 'sa.key'), privateKey, { mode: 0o600 })
  writeFileSync(join(folder, 'sa.pub'), publicKey)
  writeFileSync(join(folder, 'tokens.csv'), `${ADMIN_TOKEN},admin,admin,"system:masters"\n`, { mode: 0o600 })
}

function isServing(port: number, caFile: string): Promise<boolean> {
  const headers = { authorization: `Bearer ${ADMIN_TOKEN}` }
  return new Promise((resolve, reject) => {
    get(
      { host: HOST, port, path: '/readyz', ca: readFileSync(caFile), headers, agent: false, timeout: 5000 },
      response => {
        response.resume()
        resolve(response.statusCode === 200)
      },
    ).once('error', reject)
  })
}
