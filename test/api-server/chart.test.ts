/**
 * Tests the chart on a real API server with the CRDs of the operators that it needs: manifests are accepted, missing
 * prerequisites are reported, releases are installed, upgraded and uninstalled. No pods run here; test/cluster runs them.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { CRD_FILE } from '#operator/crd/generate.ts'
import { type ApiServer, CRDS_DIR, describeWithCrds } from '../support/api-server.ts'
import { CHART, chartShapes, describeWithHelm, helm, rendered } from '../support/helm.ts'
import { Kube } from '../support/kube.ts'
import { ownApiServer, temporaryFolder } from '../support/services.ts'

const LAPTOP = ['-f', join(CHART, 'values-laptop.yaml')]
const folder = temporaryFolder('chart')
const environment: Record<string, string> = {}
let server: ApiServer
let kube: Kube

const kubectl = (args: string[], input?: string) =>
  execFileSync('kubectl', args, {
    encoding: 'utf8',
    stdio: 'pipe',
    ...(input && { input }),
    env: { ...process.env, ...environment },
  })
const install = (name: string, namespace: string, ...more: string[]) =>
  helm(['install', name, CHART, '-n', namespace, '--create-namespace', ...LAPTOP, ...more], environment)
/** Returns the error of an installation that fails. */
function installError(name: string, namespace: string): string {
  try {
    install(name, namespace)
  } catch (error) {
    return (error as Error).message
  }
  throw new Error(`${name} was installed`)
}
const secretOf = async (namespace: string, name: string) =>
  (await kube.demand('GET', `/api/v1/namespaces/${namespace}/secrets/${name}`)).data.password

function useCluster({ url, caFile, token }: ApiServer): void {
  const cluster = { server: url, 'certificate-authority': caFile }
  const file = join(folder, 'kubeconfig')
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'test',
    clusters: [{ name: 'test', cluster }],
    users: [{ name: 'test', user: { token } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
  }
  writeFileSync(file, stringify(config), { mode: 0o600 })
  environment.KUBECONFIG = file
}

/** Creates the prerequisites: the CRDs of the operators, a StorageClass, and a node. */
function createPrerequisites(): void {
  const folders = ['strimzi', 'eck', 'cloudnative-pg', 'prometheus-operator'].map(name => join(CRDS_DIR, name))
  // helm test creates a SalesPipeline; no release has installed its CRD yet.
  kubectl(['create', ...[...folders, CRD_FILE].flatMap(path => ['-f', path])])
  kubectl(['wait', '--for=condition=established', 'crd', '--all', '--timeout=60s'])
  const annotations = { 'storageclass.kubernetes.io/is-default-class': 'true' }
  const storage = { apiVersion: 'storage.k8s.io/v1', kind: 'StorageClass', metadata: { name: 'standard', annotations } }
  kubectl(['create', '-f', '-'], stringify({ ...storage, provisioner: 'example.com/none' }))
  kubectl(['create', '-f', '-'], stringify({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'node' } }))
}

async function addImageToNode(image: string): Promise<void> {
  // An image whose name a newer build took over has no names left.
  const status = { images: [{ sizeBytes: 2 }, { names: [image], sizeBytes: 1 }] }
  await kube.demand('PATCH', '/api/v1/nodes/node/status', { status }, 'application/merge-patch+json')
}

describeWithCrds('the chart on an API server', () =>
  describeWithHelm('with helm', () => {
    beforeAll(async () => {
      server = await ownApiServer('chart')
      kube = new Kube(server)
      useCluster(server)
    })
    afterAll(() => server?.stop())

    it('reports everything that is missing with the command that installs it, and creates nothing', async () => {
      const error = installError('sales', 'bare')
      expect(error).toMatch(
        /the Strimzi operator .* not installed in this cluster: run k8s\/platform\/install\.sh, or .*--set kafka\.enabled=false/,
      )
      expect(error).toMatch(
        /the ECK operator .* k8s\/platform\/install\.sh, or .*--set elasticsearch\.enabled=false,kibana\.enabled=false/,
      )
      expect(error).toMatch(/the Prometheus operator .* k8s\/platform\/install\.sh/)
      expect(error).toMatch(/no node has the image salespipeline\/operator:[\d.]+: run npm run images -- --kind NAME/)
      for (const part of ['kafka', 'elasticsearch', 'postgres'])
        expect(error).toContain(`no default StorageClass: --set ${part}.storage.className=NAME`)
      expect(error).not.toMatch(/CloudNativePG/)
      expect(await kube.find('/api/v1/namespaces/bare/secrets/postgres')).toBeNull()
    })

    describe('with all prerequisites', () => {
      beforeAll(async () => {
        createPrerequisites()
        const { version } = JSON.parse(readFileSync(join(CHART, '../../package.json'), 'utf8'))
        // containerd gives this name to images that were loaded without a registry.
        await addImageToNode(`docker.io/salespipeline/operator:${version}`)
      })

      it.each(chartShapes())('renders only objects that the API server accepts: %s', (shape, args) => {
        const namespace = `shape-${shape}`
        kubectl(['create', 'namespace', namespace])
        const objects = rendered([...args, '--namespace', namespace])
        expect(objects.length).toBeGreaterThan(8)
        const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects })
        for (const dryRun of [['--dry-run=server'], []]) {
          const flags = ['--server-side', '--validate=strict', '--force-conflicts', ...dryRun]
          const output = kubectl(['-n', namespace, 'apply', ...flags, '-f', '-'], list)
          expect(output.trim().split('\n').length).toBe(objects.length)
        }
      })

      it('rejects objects of another release and explains how to take them over', async () => {
        const error = installError('sales', 'shop')
        expect(error).toContain('belongs to no release: --set crd.install=false')
        const commands = /kubectl label .*$/m.exec(error)![0]
        execFileSync('sh', ['-c', commands], { env: { ...process.env, ...environment }, stdio: 'pipe' })
        kubectl(['delete', 'clusterrole,clusterrolebinding', 'salespipeline-operator'])
        expect(install('sales', 'shop')).toContain('helm test sales -n shop')
      })

      it('keeps its passwords across upgrades and rollbacks', async () => {
        const before = await secretOf('shop', 'postgres')
        expect(Buffer.from(before, 'base64').toString()).toMatch(/^[A-Za-z0-9]{32}$/)
        helm(['upgrade', 'sales', CHART, '-n', 'shop', ...LAPTOP, '--set', 'operator.replicas=2'], environment)
        expect(await secretOf('shop', 'postgres')).toBe(before)
        helm(['rollback', 'sales', '1', '-n', 'shop'], environment)
        expect(await secretOf('shop', 'postgres')).toBe(before)
        const operator = await kube.demand('GET', '/apis/apps/v1/namespaces/shop/deployments/salespipeline-operator')
        expect(operator.spec.replicas).toBe(1)
      })

      it('keeps the CRD, the data and the passwords on uninstall for the next release', async () => {
        const before = await secretOf('shop', 'postgres')
        const output = helm(['uninstall', 'sales', '-n', 'shop'], environment)
        for (const kept of [
          'CustomResourceDefinition',
          'Kafka] kafka',
          'Elasticsearch] elasticsearch',
          'Secret] postgres',
        ])
          expect(output).toContain(kept)
        expect(await kube.find('/apis/apps/v1/namespaces/shop/statefulsets/postgres')).toBeNull()
        expect(await kube.find('/apis/kafka.strimzi.io/v1/namespaces/shop/kafkas/kafka')).not.toBeNull()
        install('sales', 'shop')
        expect(await secretOf('shop', 'postgres')).toBe(before)
      })

      it('installs a second platform in another namespace that shares the operator', async () => {
        install('outlet', 'outlet', '--set', 'operator.enabled=false,crd.install=false')
        expect(await kube.find('/apis/apps/v1/namespaces/outlet/deployments/salespipeline-operator')).toBeNull()
        expect(await secretOf('outlet', 'postgres')).not.toBe(await secretOf('shop', 'postgres'))
      })
    })
  }),
)
