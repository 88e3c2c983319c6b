/**
 * REST ingest: clients post sales as fast as the ingest acknowledges them, to a real Kafka with acks=all. Reports
 * throughput, answer times, and CPU and peak memory of the ingest's process. After each run, the topic must have exactly
 * the acknowledged events.
 *
 *   npm run bench:ingest                             1 and 100 events per request, 5 runs of 10 s
 *   npm run bench:ingest -- --batches 1 --seconds 5 --connections 64 --report ingest.json
 *   npm run bench:ingest -- --compare ../before      alternates with the ingest of another checkout, and prints the ratio
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Admin, ListOffsetTimestamps } from '@platformatic/kafka'
import { startKafka } from '#local/services/kafka.ts'
import { Random } from '#test/support/random.ts'
import { drawSale } from './backlog.ts'
import { alternate, type Figures, ROOT, report } from './compare.ts'
import { type Posted, postFor, postOf } from './requests.ts'
import { peakMemoryBytes, treeCpuSeconds } from './usage.ts'

const FIGURES = ['requestsPerSecond', 'eventsPerSecond', 'cpuPerMillion', 'p50Ms', 'p99Ms', 'peakMb'] as const
type Run = Figures<(typeof FIGURES)[number]>

const TOPIC = 'bench-ingest'
const PARTITIONS = 8
const WARM_UP_SECONDS = 2
/** Different events in the requests. They are sent again and again: the ingest remembers none. */
const EVENTS = 20_000

const { values } = parseArgs({
  options: {
    batches: { type: 'string', default: '1,100' },
    runs: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '10' },
    connections: { type: 'string', default: '32' },
    report: { type: 'string' },
    compare: { type: 'string' },
  },
})
const dataDir = join(ROOT, '.local', 'bench-ingest')
rmSync(dataDir, { recursive: true, force: true })
await mkdir(dataDir, { recursive: true })

const kafka = await startKafka({ dataDir: join(dataDir, 'kafka'), progress: console.log })
const admin = new Admin({ clientId: 'bench', bootstrapBrokers: [kafka.bootstrap] })
try {
  await main()
} finally {
  await admin.close()
  await kafka.stop()
}

async function main(): Promise<void> {
  const configs = [
    { name: 'retention.bytes', value: String(128 << 20) },
    { name: 'segment.bytes', value: String(32 << 20) },
  ]
  await admin.createTopics({ topics: [TOPIC], partitions: PARTITIONS, replicas: 1, configs })
  const file = writeSpec()
  const summaries: Record<string, unknown> = {}
  const batches = values.batches.split(',').map(Number)
  // The JVM compiles Kafka's code meanwhile: it would slow down only the first run, which is always of this checkout.
  await measure(ROOT, file, batches[0]!, 'warm-up, not counted')
  for (const batch of batches) {
    console.log(`${batch} events per request, ${values.connections} connections`)
    const comparison = await alternate(Number(values.runs), values.compare, (tree, title) =>
      measure(tree, file, batch, title),
    )
    summaries[batch] = { runs: comparison.runs, summary: report(comparison, FIGURES, values.compare) }
  }
  if (values.report)
    writeFileSync(values.report, `${JSON.stringify({ node: process.version, ...summaries }, null, 2)}\n`)
}

function writeSpec(): string {
  const text = readFileSync(join(ROOT, 'bench/drain.yaml'), 'utf8').replace(
    'source: { topic: bench-drain,',
    `source: { topic: ${TOPIC}, bootstrapServers: ["${kafka.bootstrap}"],`,
  )
  const file = join(dataDir, 'pipeline.yaml')
  writeFileSync(file, text)
  return file
}

/** `tree`: the checkout whose ingest runs. */
async function measure(tree: string, file: string, batch: number, title: string): Promise<Run> {
  const before = await storedEvents()
  const { ingest, url } = await startIngest(tree, file)
  const requests = requestsOf(url, batch)
  const post = (seconds: number) => postFor(url, requests, Number(values.connections), seconds)
  const warmUp = await post(WARM_UP_SECONDS)
  const [cpuBefore, ownBefore] = [treeCpuSeconds(ingest.pid!), treeCpuSeconds(process.pid)]
  const posted = await post(Number(values.seconds))
  const cpu = treeCpuSeconds(ingest.pid!) - cpuBefore
  // The ingest and Kafka are descendants of this process.
  const run = figuresOf(posted, batch, cpu, peakMemoryBytes(ingest.pid!))
  const others = treeCpuSeconds(process.pid) - ownBefore - cpu
  ingest.kill('SIGTERM')
  await once(ingest, 'exit')
  const stored = (await storedEvents()) - before
  const acknowledged = (warmUp.requests + posted.requests) * batch
  if (stored !== acknowledged) throw new Error(`${acknowledged} events were acknowledged, but Kafka stored ${stored}`)
  print(title, run, others / posted.seconds)
  return run
}

function figuresOf({ requests, seconds, latencies }: Posted, batch: number, cpu: number, peak: number): Run {
  const sorted = latencies.sort((a, b) => a - b)
  const quantile = (q: number) => sorted[Math.floor(q * (sorted.length - 1))]!
  return {
    requestsPerSecond: requests / seconds,
    eventsPerSecond: (requests * batch) / seconds,
    cpuPerMillion: (cpu / (requests * batch)) * 1e6,
    p50Ms: quantile(0.5),
    p99Ms: quantile(0.99),
    peakMb: peak / 1e6,
  }
}

/** `otherCores`: cores that the clients and Kafka used. */
function print(title: string, run: Run, otherCores: number): void {
  const figures = [
    `${run.requestsPerSecond.toFixed(0)} requests/s`,
    `${run.eventsPerSecond.toFixed(0)} events/s`,
    `${run.cpuPerMillion.toFixed(2)} CPU s per million`,
    `p50 ${run.p50Ms.toFixed(1)} ms`,
    `p99 ${run.p99Ms.toFixed(1)} ms`,
    `${run.peakMb.toFixed(0)} MB`,
    `clients and Kafka used ${otherCores.toFixed(2)} cores`,
  ]
  console.log(`${title}: ${figures.join(', ')}`)
}

async function startIngest(tree: string, file: string): Promise<{ ingest: ChildProcess; url: URL }> {
  const args = ['serve', '--file', file, '--port', '0', '--log-level', 'error']
  const env = { ...process.env, NODE_COMPILE_CACHE: join(tree, '.cache/compiled') }
  const ingest = fork(join(tree, 'producer/main.ts'), args, { env })
  const serving = new Promise<URL>((resolve, reject) => {
    ingest.once('message', (message: { url: string }) => resolve(new URL(`/${TOPIC}`, message.url)))
    ingest.once('exit', code => reject(new Error(`the ingest exited with code ${code}`)))
  })
  return { ingest, url: await serving }
}

function requestsOf(url: URL, batch: number): Buffer[] {
  const random = new Random(42)
  const sales = Array.from({ length: EVENTS }, (_, i) => drawSale(random, i, EVENTS).value)
  if (batch === 1) return sales.map(sale => postOf(url, sale))
  return Array.from({ length: Math.max(1, Math.floor(EVENTS / batch)) }, (_, i) =>
    postOf(url, `[${sales.slice(i * batch, (i + 1) * batch).join(',')}]`),
  )
}

/** Resolves with the sum of the end offsets. Kafka keeps it when retention deletes records. */
async function storedEvents(): Promise<number> {
  const partitions = Array.from({ length: PARTITIONS }, (_, partitionIndex) => ({
    partitionIndex,
    timestamp: ListOffsetTimestamps.LATEST,
  }))
  const [topic] = await admin.listOffsets({ topics: [{ name: TOPIC, partitions }] })
  return topic!.partitions.reduce((sum, { offset }) => sum + Number(offset), 0)
}
