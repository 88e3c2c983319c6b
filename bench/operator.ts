/**
 * The operator at rest, as its image runs it: memory, CPU and writes with pipelines that wait for their pods, on a real API
 * server without nodes. Fails if it writes anything but its Lease.
 *
 *   npm run bench:operator                        50 and 1,000 pipelines, each for a minute
 *   npm run bench:operator -- --pipelines 50 --seconds 300 --report operator.json
 *
 * KUBEBUILDER_ASSETS and CRDS_DIR are those of the tests of the API server (CONTRIBUTING.md).
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { stringify } from 'yaml'
import { bundle } from '#images/filesystem.ts'
import { PROGRAMS } from '#images/programs.ts'
import { installForeignCrds, installOperator, operatorToken, pipelineNamed } from '#test/api-server/rig.ts'
import { type ApiServer, startApiServer } from '#test/support/api-server.ts'
import { Kube } from '#test/support/kube.ts'
import { currentMemoryBytes, peakMemoryBytes, treeCpuSeconds } from './usage.ts'

const NAMESPACES = 10
const PORT = 8191
/** Without a write for this long, the operator is at rest. */
const REST_MS = 20_000
const MIB = 2 ** 20

const { values } = parseArgs({
  options: {
    pipelines: { type: 'string', default: '50,1000' },
    seconds: { type: 'string', default: '60' },
    report: { type: 'string' },
  },
})

const folder = mkdtempSync(join(tmpdir(), 'bench-operator-'))
const program = PROGRAMS.find(({ name }) => name === 'operator')!
const file = join(folder, 'operator.mjs')
await bundle(program, file)
const results: Record<string, unknown>[] = []
try {
  for (const count of values.pipelines.split(',').map(Number)) results.push(await measure(count))
} finally {
  rmSync(folder, { recursive: true, force: true })
}
console.table(results)
if (values.report) writeFileSync(values.report, `${JSON.stringify({ node: process.version, results }, null, 2)}\n`)
process.exit(results.every(({ 'other writes': others }) => others === 0) ? 0 : 1)

async function measure(count: number): Promise<Record<string, unknown>> {
  const server = await startApiServer({ dataDir: mkdtempSync(join(folder, 'api-')), temporary: true })
  try {
    const kube = new Kube(server)
    await installForeignCrds(kube)
    await installOperator(kube)
    await createPipelines(kube, count)
    const operator = startOperator(server, await operatorToken(kube))
    const ended = once(operator, 'exit')
    const early = ended.then(([code]) => {
      throw new Error(`the operator ended with code ${code} before it was measured`)
    })
    const measured = resting(count).then(() => figures(operator.pid!))
    try {
      return { pipelines: count, ...(await Promise.race([measured, early])) }
    } finally {
      early.catch(() => {})
      operator.kill('SIGTERM')
      await ended
    }
  } finally {
    await server.stop()
  }
}

async function createPipelines(kube: Kube, count: number): Promise<void> {
  for (let i = 0; i < NAMESPACES; i++) await kube.namespace(`shop-${i}`)
  const names = Array.from({ length: count }, (_, i) => i)
  const create = async () => {
    for (let i = names.pop(); i !== undefined; i = names.pop())
      await kube.demand('POST', kube.pipelinePath(`shop-${i % NAMESPACES}`), pipelineNamed(`sales-${i}`))
  }
  await Promise.all(Array.from({ length: 8 }, create))
}

function startOperator({ url, caFile }: ApiServer, token: string): ChildProcess {
  const config = join(folder, 'kubeconfig')
  const cluster = { name: 'bench', cluster: { server: url, 'certificate-authority': caFile } }
  const context = { name: 'bench', context: { cluster: 'bench', user: 'operator' } }
  const users = [{ name: 'operator', user: { token } }]
  writeFileSync(config, stringify({ 'current-context': 'bench', clusters: [cluster], contexts: [context], users }))
  const env = { ...program.env, PROCESSOR_IMAGE: 'processor:1', PRODUCER_IMAGE: 'producer:1', LOG_LEVEL: 'warn' }
  const place = { KUBECONFIG: config, POD_NAMESPACE: 'salespipeline-system', HTTP_PORT: `${PORT}` }
  const compiled = { NODE_COMPILE_CACHE: join(folder, 'compiled') }
  return spawn(process.execPath, [...program.flags, file], {
    env: { PATH: process.env.PATH, ...env, ...place, ...compiled },
    stdio: ['ignore', 'inherit', 'inherit'],
  })
}

/** Resolves with the operator's writes so far, by resource; undefined before it serves them. */
async function writes(): Promise<Map<string, number> | undefined> {
  const response = await fetch(`http://127.0.0.1:${PORT}/metrics`).catch(() => null)
  if (!response) return undefined
  const lines = (await response.text()).match(/^salespipeline_operator_(writes_total|pipelines).*$/gm) ?? []
  const sums = new Map<string, number>()
  for (const line of lines) {
    const name = /resource="([^"]+)"/.exec(line)?.[1] ?? 'pipelines'
    sums.set(name, (sums.get(name) ?? 0) + Number(line.split(' ').at(-1)))
  }
  return sums
}

function others(all: Map<string, number>): number {
  const counts = [...all].filter(([name]) => name !== 'leases' && name !== 'pipelines').map(([, count]) => count)
  return counts.reduce((sum, count) => sum + count, 0)
}

/** Waits until the operator knows all pipelines and has written all it wants to. */
async function resting(count: number): Promise<void> {
  let last = { sum: -1, at: Date.now() }
  for (;;) {
    await sleep(1000)
    const now = await writes()
    if (!now) continue
    const sum = others(now)
    if (sum !== last.sum) {
      last = { sum, at: Date.now() }
      console.log(`${now.get('pipelines') ?? 0} of ${count} pipelines, ${sum} writes`)
    }
    if (now.get('pipelines') === count && sum > count && Date.now() - last.at >= REST_MS) return
  }
}

async function figures(pid: number): Promise<Record<string, unknown>> {
  const [before, cpuBefore] = [await writes(), treeCpuSeconds(pid)]
  await sleep(Number(values.seconds) * 1000)
  const [after, cpu] = [await writes(), treeCpuSeconds(pid) - cpuBefore]
  const seconds = Number(values.seconds)
  return {
    'memory, MiB': Math.round(currentMemoryBytes(pid) / MIB),
    'peak memory, MiB': Math.round(peakMemoryBytes(pid) / MIB),
    'CPU, millicores': Math.round((cpu / seconds) * 1000),
    'Lease writes per minute': Math.round(((after!.get('leases')! - before!.get('leases')!) / seconds) * 60),
    'other writes': others(after!) - others(before!),
  }
}
