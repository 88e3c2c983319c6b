/** Tests chaos with real kubectl on a real API server: the targets that it chooses, its errors, measurements and reports. */
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { Api } from '#chaos/kubectl.ts'
import { CRD_FILE } from '#operator/crd/generate.ts'
import { type ApiServer, describeWithApiServer } from '../support/api-server.ts'
import { type Json, Kube } from '../support/kube.ts'
import { writeKubeconfig } from '../support/kubeconfig.ts'
import { ownApiServer } from '../support/services.ts'
import { until } from '../support/until.ts'
import { pipelineNamed } from './rig.ts'
import { SimulatedCluster } from './simulated-cluster.ts'

const NAMESPACE = 'shop'
const MAIN = resolve(import.meta.dirname, '../../chaos/main.ts')
const ROWS = { compared: 4, missing: 0, extra: 0, unequal: 0 }
const EXACT = { ok: true, records: 9, lost: 0, doubled: 0, rows: ROWS, problems: [] }
const SECRETS = {
  usernameSecretRef: { name: 'postgres', key: 'username' },
  passwordSecretRef: { name: 'postgres', key: 'password' },
}
let server: ApiServer
let kube: Kube
let cluster: SimulatedCluster
let folder: string
let kubeconfig: string
let outputs: string[]

const setVerdict = (verdict: object) => (cluster.verdict = `1 records read\n${JSON.stringify(verdict, null, 2)}\n`)
const pods = async (): Promise<Json[]> => (await kube.demand('GET', `/api/v1/namespaces/${NAMESPACE}/pods`)).items
const uids = async () => (await pods()).map(({ metadata }) => metadata.uid).sort()

const kubeconfigFor = (name: string, url: string) =>
  writeKubeconfig(join(folder, name), { ...server, url }, `test-${name}`)

/** Runs chaos to its end; with `endAt`, interrupts it once its output contains this text. */
async function chaos(
  args: string[],
  config = kubeconfig,
  endAt?: string,
): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, [MAIN, '--namespace', NAMESPACE, ...args], {
    env: { ...process.env, KUBECONFIG: config, TMPDIR: folder },
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', data => (output += data))
  if (endAt) {
    const end = () => {
      if (output.includes(endAt)) child.stdout.off('data', end) && child.kill('SIGINT')
    }
    child.stdout.on('data', end)
  }
  const code = await new Promise<number | null>(done => child.once('close', done))
  outputs.push(output)
  return { code, output }
}

const shop = (...args: string[]) => chaos(['--pipeline', 'shop', '--every', '0s', '--recover-within', '1m', ...args])

async function createPipeline(name: string, ready: boolean): Promise<void> {
  const spec = { sinks: { postgres: SECRETS }, load: { onCluster: true } }
  const { metadata } = await kube.demand('POST', kube.pipelinePath(NAMESPACE), pipelineNamed(name, spec))
  const condition = { type: 'Ready', reason: ready ? 'Streaming' : 'StoreUnavailable', message: 'as it is' }
  const conditionSince = { ...condition, status: ready ? 'True' : 'False', lastTransitionTime: '2026-01-01T00:00:00Z' }
  const conditions = [{ ...conditionSince, observedGeneration: metadata.generation }]
  await cluster.patch(`${kube.pipelinePath(NAMESPACE, name)}/status`, {
    status: { conditions, workers: { desired: 2 } },
  })
}

async function createCluster(): Promise<void> {
  await cluster.kubelet(folder)
  for (const node of ['node-1', 'node-2', 'node-3']) await cluster.node(node)
  const worker = (name: string) => ({
    'app.kubernetes.io/name': 'sales-pipeline',
    'app.kubernetes.io/instance': name,
    'app.kubernetes.io/component': 'processor',
  })
  const strimzi = { 'strimzi.io/cluster': 'kafka', 'strimzi.io/kind': 'Kafka' }
  const broker = { ...strimzi, 'strimzi.io/name': 'kafka-kafka' }
  await cluster.addPod('shop', { labels: worker('shop'), node: 'node-2', stable: false, partitions: [0, 1] })
  await cluster.addPod('shop', { labels: worker('shop'), node: 'node-2', stable: false, partitions: [2, 3] })
  await cluster.addPod('kafka-dual-0', { labels: broker, node: 'node-1', stable: true })
  const entities = { ...strimzi, 'strimzi.io/name': 'kafka-entity-operator' }
  await cluster.addPod('kafka-entity-operator', { labels: entities, node: 'node-1', stable: false })
  await cluster.addPod('postgres-1', { labels: { 'cnpg.io/cluster': 'postgres' }, node: 'node-1', stable: true })
  const operator = { 'app.kubernetes.io/name': 'salespipeline-operator' }
  for (let i = 0; i < 2; i++) await cluster.addPod('operator', { labels: operator, node: 'node-1', stable: false })
  await createPipeline('shop', true)
  await createPipeline('unready', false)
}

const isRunningBroker = ({ metadata }: Json) =>
  metadata.name === 'kafka-dual-0' && metadata.deletionTimestamp === undefined

describeWithApiServer('chaos', () => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'chaos-test-'))
    server = await ownApiServer('chaos')
    kube = new Kube(server)
    for (const crd of parseAllDocuments(readFileSync(CRD_FILE, 'utf8'))) await kube.installCrd(crd.toJS())
    await kube.namespace(NAMESPACE)
    cluster = new SimulatedCluster(kube, NAMESPACE)
    await createCluster()
    cluster.start()
    kubeconfig = kubeconfigFor('real', server.url)
  })
  afterAll(async () => {
    await cluster?.stop()
    await server?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  beforeEach(({ onTestFailed }) => {
    outputs = []
    cluster.stubborn.clear()
    onTestFailed(() => console.log(outputs.join('\n')))
  })

  it('rejects a cluster that it cannot reach, naming its context', async () => {
    const { code, output } = await chaos(['--pipeline', 'shop'], kubeconfigFor('dead', 'https://127.0.0.1:1'))
    expect(output).toContain('cannot reach the cluster of context test-dead')
    expect(code).toBe(2)
  })

  it('rejects a missing pipeline and names the existing ones', async () => {
    const { code, output } = await chaos(['--pipeline', 'shoe'])
    expect(output).toContain('no SalesPipeline shoe in namespace shop; existing ones: shop, unready')
    expect(code).toBe(2)
  })

  it('reports all problems at once with the flag that fixes each', async () => {
    const { code, output } = await chaos(['--pipeline', 'unready', '--kafka-selector', 'app=other'])
    expect(output).toContain('unready is not Ready (StoreUnavailable: as it is)')
    expect(output).toContain('no pod of kind kafka in namespace shop with the labels "app=other"')
    expect(output).toMatch(
      /kind elasticsearch .*--elasticsearch-selector .*--stores-namespace, or remove "elasticsearch" from/,
    )
    expect(output).toMatch(/kind worker .*instance=unready/)
    expect(code).toBe(2)
  })

  it('restarts its proxy when the proxy dies', async () => {
    process.env.KUBECONFIG = kubeconfig
    const api = new Api()
    const proxyPid = () =>
      execFileSync('pgrep', ['-P', String(process.pid), '-f', 'kubectl proxy'])
        .toString()
        .trim()
    try {
      expect((await api.json('/api/v1/namespaces/shop')).metadata.name).toBe(NAMESPACE)
      const first = proxyPid()
      process.kill(Number(first), 'SIGKILL')
      const nameOf = async () => (await api.json('/api/v1/namespaces/shop').catch(() => null))?.metadata.name
      await until('the proxy responds again', async () => (await nameOf()) === NAMESPACE)
      expect(proxyPid()).not.toBe(first)
      await expect(api.text('/api/v1/namespaces/none')).rejects.toMatchObject({ code: 404 })
    } finally {
      api.close()
    }
  })

  it.each([
    [['--faults', 'worker,zookeeper'], '--faults: unknown kind zookeeper; allowed: worker, kafka'],
    [['--faults', 'node'], 'the fault "node" needs --node-command'],
    [['--every', '5'], '--every must be a duration such as 30s or 5m, not "5"'],
    [['--rounds', '2', '--for', '5m'], 'mutually exclusive'],
    [['--rounds', '0'], '--rounds must be a whole number of 1 or more, not 0'],
    [['--nodes'], 'Unknown argument: nodes'],
  ])('rejects the arguments %j', async (args, message) => {
    const { code, output } = await shop(...args)
    expect(output).toContain(message)
    expect(code).toBe(2)
  })

  it('prints its schedule in a dry run: a broker, the leading operator, a node without stores', async () => {
    const before = await uids()
    const faults = ['--faults', 'worker,kafka,postgres,operator,node', '--node-command', 'false {node}']
    const { code, output } = await shop(...faults, '--rounds', '2', '--dry-run')
    expect(output).toContain('context test-real: pipeline shop in namespace shop, seed 1')
    expect(output.match(/kafka: pod shop\/kafka-dual-0, one of 1$/gm)).toHaveLength(2)
    expect(output.match(/postgres: pod shop\/postgres-1, one of 1$/gm)).toHaveLength(2)
    expect(output.match(/worker: pod shop\/shop-p-\S+, one of 2$/gm)).toHaveLength(2)
    const { spec } = await kube.demand(
      'GET',
      '/apis/coordination.k8s.io/v1/namespaces/shop/leases/salespipeline-operator',
    )
    expect(output).toContain(`operator: pod shop/${spec.holderIdentity}, one of 2`)
    expect(output.match(/node: node-2 by false \{node\}$/gm)).toHaveLength(1)
    expect(code).toBe(0)
    expect((await shop(...faults, '--rounds', '2', '--dry-run')).output.match(/round.*/g)).toEqual(
      output.match(/round.*/g),
    )
    expect(await uids()).toEqual(before)
  })

  it('injects each fault, measures the recovery, and runs the verifier', { timeout: 180_000 }, async () => {
    const before = await pods()
    setVerdict(EXACT)
    const reportFolder = join(folder, 'report')
    const { code, output } = await shop('--faults', 'worker,kafka,postgres,operator', '--report', reportFolder)
    expect(output).toContain('exact: 9 records, 0 lost, 0 counted twice')
    expect(code).toBe(0)
    const { faults, calm, ticks, ok } = JSON.parse(readFileSync(join(reportFolder, 'chaos.json'), 'utf8'))
    expect(ok).toBe(true)
    expect(faults.map((f: Json) => f.kind).sort()).toEqual(['kafka', 'operator', 'postgres', 'worker'])
    for (const { target, bit, recoveredMs } of faults) {
      const { metadata } = before.find(pod => `pod ${pod.metadata.name}` === target)
      expect(await uids()).not.toContain(metadata.uid)
      expect({ target, bit, recovered: recoveredMs > 0 }).toEqual({ target, bit: true, recovered: true })
    }
    // The simulated workers commit 200 records/s, and a replaced one begins at 0.
    expect(calm.rate).toBeGreaterThan(150)
    expect(calm.rate).toBeLessThan(250)
    expect(calm).toMatchObject({ peakLag: 12, delay: { max: 0.1 } })
    const totals = ticks.map(({ records }: Json) => Object.values<number>(records).reduce((a, b) => a + b, 0))
    expect(totals).toEqual([...totals].sort((a, b) => a - b))
    expect(readFileSync(join(reportFolder, 'chaos.md'), 'utf8')).toContain('| worker | pod shop-p-')
    expect(readFileSync(join(reportFolder, 'chaos.svg'), 'utf8')).toContain('>worker</text>')
    const [job] = cluster.jobs
    expect(job.spec.template.spec.containers[0].args).toEqual(['/config/processor.yaml', '--json', '--running'])
    expect((await kube.request('GET', `/apis/batch/v1/namespaces/shop/jobs/${job.metadata.name}`)).code).toBe(404)
  })

  it('fails when the verdict is not exact, and stops the load only on request', { timeout: 180_000 }, async () => {
    setVerdict({ ...EXACT, ok: false, lost: 1, problems: ['partition 3: records: expected 9, found 8'] })
    const { code, output } = await shop('--faults', 'worker')
    expect(output).toContain('NOT EXACT: 9 records, 1 lost')
    expect(output).toContain('problem: partition 3: records: expected 9, found 8')
    expect(code).toBe(1)
    expect((await kube.demand('GET', kube.pipelinePath(NAMESPACE, 'shop'))).spec.load.onCluster).toBe(true)
  })

  it('fails when a fault has no effect because the broker’s pod stays', { timeout: 180_000 }, async () => {
    cluster.stubborn.add('kafka-dual-0')
    setVerdict(EXACT)
    const reportFolder = join(folder, 'stubborn')
    const { code, output } = await shop('--faults', 'kafka', '--recover-within', '5s', '--report', reportFolder)
    expect(output).toMatch(/had no effect: waited for pod kafka-dual-0 with uid \S+ to be deleted/)
    expect(code).toBe(1)
    expect(existsSync(join(reportFolder, 'chaos.md'))).toBe(true)
  })

  it('reports its measurements and what it leaves behind when it is interrupted', { timeout: 180_000 }, async () => {
    // The previous test left the broker terminating.
    const isRunning = async () => (await pods()).some(isRunningBroker)
    await until('the broker runs again', isRunning, 60_000)
    cluster.stubborn.add('kafka-dual-0')
    const args = ['--pipeline', 'shop', '--faults', 'kafka', '--report', join(folder, 'interrupted')]
    const { code, output } = await chaos(args, kubeconfig, 'waiting for pod kafka-dual-0')
    expect(output).toContain('- interrupted')
    expect(output).not.toContain('running the verifier')
    expect(existsSync(join(folder, 'interrupted/chaos.svg'))).toBe(true)
    expect(code).toBe(1)
    expect(() => execFileSync('pgrep', ['-f', `kubectl proxy --unix-socket=${folder}`])).toThrow()
  })

  it('fails when the node does not become NotReady', { timeout: 180_000 }, async () => {
    const { code, output } = await shop('--faults', 'node', '--node-command', 'true {node}', '--recover-within', '3s')
    expect(output).toContain('had no effect: waited for node node-2 to be NotReady')
    expect(code).toBe(1)
  })

  it('loses a node, and a node with stores by the documented taint, and lists the remaining steps', {
    timeout: 300_000,
  }, async () => {
    setVerdict(EXACT)
    const condition = '[{"type":"Ready","status":"Unknown"}]'
    const patch = `kubectl patch node {node} --subresource=status --type=merge -p '{"status":{"conditions":${condition}}}'`
    const lose = ['--faults', 'node', '--node-command', patch]
    const first = await shop(...lose)
    expect(first.output).toContain('to clean up: node node-2 is down')
    expect(first.output).not.toContain('out-of-service')
    expect(first.code).toBe(0)

    // Its workers moved to the node of the stores.
    expect((await shop(...lose)).output).toContain(
      'every node with a worker also runs Kafka or a store, so no node may be killed: add --node-with-store',
    )
    const second = await shop(...lose, '--node-with-store')
    expect(second.output).toContain('node node-1 with kafka-dual-0, postgres-1')
    expect(second.output).toContain('kubectl taint nodes node-1 node.kubernetes.io/out-of-service-')
    expect(second.code).toBe(0)
    const { spec } = await kube.demand('GET', '/api/v1/nodes/node-1')
    expect(spec.taints).toContainEqual(expect.objectContaining({ value: 'nodeshutdown', effect: 'NoExecute' }))
    const stores = (await pods()).filter(({ metadata }) => /^(kafka-dual|postgres)/.test(metadata.name))
    expect(stores.map(pod => pod.spec.nodeName)).toEqual(['node-3', 'node-3'])
  })

  it('stops the load on request, waits until the lag is zero, and reports it', { timeout: 180_000 }, async () => {
    setVerdict(EXACT)
    const { code, output } = await shop('--faults', 'worker', '--stop-load')
    expect(output).toMatch(
      /to clean up: the load is stopped; start it again: kubectl -n shop patch salespipeline\/shop/,
    )
    expect(code).toBe(0)
    expect((await kube.demand('GET', kube.pipelinePath(NAMESPACE, 'shop'))).spec.load.onCluster).toBe(false)
    expect(cluster.jobs.at(-1).spec.template.spec.containers[0].args).toEqual(['/config/processor.yaml', '--json'])
    const second = await shop('--faults', 'worker', '--stop-load')
    expect(second.output).toContain('--stop-load has no effect')
    expect(second.code).toBe(2)
  })
})
