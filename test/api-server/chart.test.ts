/**
 * Tests the chart on a real API server with the CRDs of the operators that it needs: manifests are accepted, missing
 * prerequisites are reported, releases are installed, upgraded and uninstalled. No pods run here; test/cluster runs them.
 */
import { execFile, execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { CRD_FILE } from '#operator/crd/generate.ts'
import { type ApiServer, CRDS_DIR, describeWithCrds } from '../support/api-server.ts'
import { CHART, chartShapes, describeWithHelm, helm, rendered } from '../support/helm.ts'
import { type Json, Kube } from '../support/kube.ts'
import { writeKubeconfig } from '../support/kubeconfig.ts'
import { ownApiServer, temporaryFolder } from '../support/services.ts'

const VERSIONS = 'jsonpath={range .items[*]}{.kind} {.metadata.name} {.metadata.resourceVersion}{"\\n"}{end}'
const FORMER_CHART = join(import.meta.dirname, '../cluster/sales-pipeline-0.2.0.tgz')
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
// No pods run here: createPasswords runs the program of the hook.
const install = (name: string, namespace: string, ...more: string[]) =>
  helm(['install', name, CHART, '-n', namespace, '--create-namespace', '--no-hooks', ...LAPTOP, ...more], environment)
const upgrade = (namespace: string, ...more: string[]) =>
  helm(['upgrade', 'sales', CHART, '-n', namespace, '--no-hooks', ...LAPTOP, ...more], environment)
/** Returns the error of an installation that fails. */
function installError(name: string, namespace: string): string {
  try {
    install(name, namespace)
  } catch (error) {
    return (error as Error).message
  }
  throw new Error(`${name} was installed`)
}
/**
 * Returns the object as kubectl shows it, or undefined. Node's connections to the API server break while a synchronous call of
 * helm blocks this process.
 */
const get = (namespace: string, ...object: string[]): Json | undefined => {
  const text = kubectl(['-n', namespace, 'get', ...object, '--ignore-not-found', '-o', 'json'])
  return text === '' ? undefined : JSON.parse(text)
}
const secretOf = (namespace: string, name: string): string => get(namespace, 'secret', name)!.data.password

/** Runs the program of the hook that creates passwords, as the ServiceAccount and with the Role of the chart. */
async function createPasswords(namespace: string, values: string[] = []): Promise<void> {
  const objects = rendered([...LAPTOP, '--namespace', namespace, ...values]).filter(({ metadata }) =>
    metadata.annotations?.['helm.sh/hook']?.startsWith('pre-install'),
  )
  const job = objects.find(({ kind }) => kind === 'Job')!
  kubectl(['-n', namespace, 'apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }))
  kubectl(['-n', namespace, 'delete', 'job', job.metadata.name])
  const account = temporaryFolder('account')
  writeFileSync(join(account, 'namespace'), namespace)
  const token = kubectl(['-n', namespace, 'create', 'token', job.spec.template.spec.serviceAccountName])
  writeFileSync(join(account, 'token'), token, { mode: 0o600 })
  const [container] = job.spec.template.spec.containers
  const env = Object.fromEntries(container.env.map(({ name, value }: Json) => [name, value]))
  const here = { API_SERVER: server.url, SERVICE_ACCOUNT: account, NODE_EXTRA_CA_CERTS: server.caFile, PATIENCE_S: '0' }
  const [command, ...flags] = [process.execPath, ...container.command.slice(1), ...container.args]
  await promisify(execFile)(command, flags, { env: { ...env, ...here } })
}

/** Creates the prerequisites: the CRDs of the operators, a StorageClass, a node, and the PriorityClasses of a shape. */
function createPrerequisites(): void {
  const folders = ['strimzi', 'eck', 'cloudnative-pg', 'prometheus-operator'].map(name => join(CRDS_DIR, name))
  // helm test creates a SalesPipeline; no release has installed its CRD yet.
  kubectl(['create', ...[...folders, CRD_FILE].flatMap(path => ['-f', path])])
  kubectl(['wait', '--for=condition=established', 'crd', '--all', '--timeout=60s'])
  const annotations = { 'storageclass.kubernetes.io/is-default-class': 'true' }
  const storage = { apiVersion: 'storage.k8s.io/v1', kind: 'StorageClass', metadata: { name: 'standard', annotations } }
  kubectl(['create', '-f', '-'], stringify({ ...storage, provisioner: 'example.com/none' }))
  kubectl(['create', '-f', '-'], stringify({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'node' } }))
  for (const name of ['platform', 'operators']) kubectl(['create', 'priorityclass', name, '--value=1000'])
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
      environment.KUBECONFIG = writeKubeconfig(join(folder, 'kubeconfig'), server)
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
      expect(get('bare', 'secret', 'postgres')).toBeUndefined()
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
        kubectl(['delete', 'clusterrole', 'salespipeline-view', 'salespipeline-edit'])
        const kinds = [
          'clusterrole',
          'clusterrolebinding',
          'validatingadmissionpolicy',
          'validatingadmissionpolicybinding',
        ]
        kubectl(['delete', kinds.join(), 'salespipeline-operator'])
        expect(install('sales', 'shop')).toContain('helm test sales -n shop')
      })

      it('creates its passwords once, in the cluster, and keeps them across upgrades and rollbacks', async () => {
        expect(kubectl(['-n', 'shop', 'get', 'secrets', '-o', 'name'])).not.toContain('secret/postgres')
        await createPasswords('shop')
        const before = secretOf('shop', 'postgres')
        expect(Buffer.from(before, 'base64').toString()).toMatch(/^[\w-]{24}$/)
        const source = get('shop', 'secret', 'salespipeline-datasource')!
        const reader = Buffer.from(secretOf('shop', 'postgres-reader'), 'base64').toString()
        expect(Buffer.from(source.data['salespipeline.yaml'], 'base64').toString()).toContain(`password: "${reader}"`)
        upgrade('shop', '--set', 'operator.replicas=2')
        expect(secretOf('shop', 'postgres')).toBe(before)
        helm(['rollback', 'sales', '1', '-n', 'shop', '--no-hooks'], environment)
        expect(secretOf('shop', 'postgres')).toBe(before)
        expect(get('shop', 'deployment', 'salespipeline-operator')!.spec.replicas).toBe(1)
      })

      it('upgrades the chart to other images, although Jobs cannot be changed', () => {
        upgrade('shop', '--set', 'images.tag=next,images.check=false')
        const { items } = get('shop', 'jobs')!
        const images = items.map((job: Json) => job.spec.template.spec.containers[0].image)
        expect(images).toEqual(['salespipeline/producer:next'])
        upgrade('shop')
      })

      it('keeps the CRD, the data and the passwords on uninstall for the next release', async () => {
        const before = secretOf('shop', 'postgres')
        const output = helm(['uninstall', 'sales', '-n', 'shop'], environment)
        for (const kept of ['CustomResourceDefinition', 'Kafka] kafka', 'Elasticsearch] elasticsearch'])
          expect(output).toContain(kept)
        expect(get('shop', 'statefulset', 'postgres')).toBeUndefined()
        expect(get('shop', 'kafka', 'kafka')).toBeDefined()
        install('sales', 'shop')
        await createPasswords('shop')
        expect(secretOf('shop', 'postgres')).toBe(before)
      })

      it.each([true, false])('keeps the passwords of release 0.2.0, with keepData %s', async keepData => {
        const namespace = `former-${keepData}`
        const values = ['--set', `operator.enabled=false,crd.install=false,images.check=false,keepData=${keepData}`]
        const flags = ['-n', namespace, '--create-namespace', ...LAPTOP, ...values]
        // That release does not know all of the laptop's values.
        helm(['install', 'sales', FORMER_CHART, ...flags, '--set', 'kafka.scram=null'], environment)
        const names = ['postgres', 'postgres-reader', 'postgres-superuser', 'elasticsearch']
        const passwords = () => names.map(name => secretOf(namespace, name))
        const source = () => get(namespace, 'secret', 'salespipeline-datasource')!.data
        const before = [passwords(), source()]
        for (let i = 0; i < 2; i++) {
          await createPasswords(namespace, values)
          upgrade(namespace, ...values)
          expect([passwords(), source()]).toEqual(before)
        }
      })

      it('changes nothing when it is rendered and applied again, as Argo CD and Flux do', async () => {
        const namespace = 'gitops'
        kubectl(['create', 'namespace', namespace])
        const apply = (...more: string[]) => {
          const args = [...LAPTOP, '--skip-tests', '--namespace', namespace, '--set', 'operator.enabled=false', ...more]
          const items = rendered(args).filter(({ kind }) => kind !== 'CustomResourceDefinition')
          const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items })
          kubectl(['-n', namespace, 'apply', '--server-side', '--field-manager=gitops', '-f', '-'], list)
        }
        const versions = () =>
          kubectl(['-n', namespace, 'get', 'all,secrets,configmaps,kafkas,elasticsearches,kibanas', '-o', VERSIONS])
        apply()
        await createPasswords(namespace, ['--set', 'operator.enabled=false'])
        apply()
        const [before, password] = [versions(), secretOf(namespace, 'postgres')]
        apply()
        expect(versions()).toBe(before)
        apply('--set', 'images.tag=next')
        expect(secretOf(namespace, 'postgres')).toBe(password)
      })

      it('installs a second platform in another namespace that shares the operator', async () => {
        const values = ['--set', 'operator.enabled=false,crd.install=false']
        install('outlet', 'outlet', ...values)
        await createPasswords('outlet', values)
        expect(get('outlet', 'deployment', 'salespipeline-operator')).toBeUndefined()
        expect(secretOf('outlet', 'postgres')).not.toBe(secretOf('shop', 'postgres'))
      })
    })
  }),
)
