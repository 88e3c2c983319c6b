/** A real OpenTelemetry Collector, built once from this folder's Go module and kept in the cache. Needs Go. */
import { execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { freePort } from '#local/services/host.ts'

const SOURCE = import.meta.dirname
const CACHE = process.env.SALESPIPELINE_CACHE ?? join(SOURCE, '../../../.cache')

/** One span as the collector received it. Times in ms since the epoch; ids in hex, an absent parent's empty. */
export type CollectedSpan = {
  name: string
  kind: number
  traceId: string
  spanId: string
  parentSpanId: string
  startedAt: number
  endedAt: number
  links: { traceId: string; spanId: string }[]
  attributes: Record<string, string>
  resource: Record<string, string>
}

type Collector = {
  /** Value for OTEL_EXPORTER_OTLP_ENDPOINT. */
  endpoint: string
  /** Stops the collector, which flushes its spans first. Resolves with every span that it received. */
  finish(): Promise<CollectedSpan[]>
  /** Removes the process and its files; call it at the end of every test, passed or failed. */
  stop(): Promise<void>
}

/** Builds the collector if needed (about two minutes of CPU, once) and starts it on a free loopback port. */
export async function startCollector(): Promise<Collector> {
  const binary = await collectorProgram()
  const folder = await mkdtemp(join(tmpdir(), 'otelcol-'))
  const file = join(folder, 'spans.jsonl')
  const address = `127.0.0.1:${await freePort()}`
  const child = spawn(binary, ['--config', join(SOURCE, 'collector.yaml')], {
    env: { ...process.env, OTLP_ENDPOINT: address, SPANS_FILE: file },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const exited = once(child, 'exit')
  await ready(createInterface(child.stderr))
  return {
    endpoint: `http://${address}`,
    async finish() {
      child.kill('SIGTERM')
      await exited
      return spansIn(await readFile(file, 'utf8'))
    },
    async stop() {
      child.kill('SIGKILL')
      await exited
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Resolves with the path of the binary for exactly these sources: its name is their hash. */
export async function collectorProgram(): Promise<string> {
  const stamp = createHash('sha256')
  for (const name of ['go.mod', 'go.sum', 'main.go']) stamp.update(await readFile(join(SOURCE, name)))
  const folder = join(CACHE, 'otelcol')
  const binary = join(folder, stamp.digest('hex').slice(0, 16))
  if (existsSync(binary)) return binary
  await mkdir(folder, { recursive: true })
  // Renamed when complete, so that an interrupted or concurrent build leaves no broken binary.
  const unfinished = `${binary}.${process.pid}`
  const flags = ['-trimpath', '-buildvcs=false', '-ldflags=-s -w']
  await promisify(execFile)('go', ['build', ...flags, '-o', unfinished, '.'], { cwd: SOURCE })
  await rename(unfinished, binary)
  return binary
}

/** Resolves when the collector is ready. Keeps reading its log, because a full pipe would block it. */
async function ready(log: ReturnType<typeof createInterface>): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const lines: string[] = []
  log.on('line', line => {
    lines.push(line)
    if (line.includes('Everything is ready')) resolve()
  })
  log.on('close', () => reject(new Error(`the collector ended before it was ready:\n${lines.join('\n')}`)))
  await promise
}

type OtlpValue = { stringValue?: string; intValue?: string; doubleValue?: number; boolValue?: boolean }
type OtlpAttributes = { key: string; value: OtlpValue }[]
type OtlpSpan = {
  name: string
  kind: number
  traceId: string
  spanId: string
  parentSpanId?: string
  startTimeUnixNano: string
  endTimeUnixNano: string
  links?: { traceId: string; spanId: string }[]
  attributes?: OtlpAttributes
}
type OtlpLine = {
  resourceSpans: { resource: { attributes: OtlpAttributes }; scopeSpans: { spans: OtlpSpan[] }[] }[]
}

export function spansIn(jsonLines: string): CollectedSpan[] {
  const lines = jsonLines.split('\n').filter(line => line !== '')
  return lines
    .flatMap(line => (JSON.parse(line) as OtlpLine).resourceSpans)
    .flatMap(({ resource, scopeSpans }) =>
      scopeSpans.flatMap(({ spans }) => spans.map(span => collected(span, plain(resource.attributes)))),
    )
}

function collected(span: OtlpSpan, resource: Record<string, string>): CollectedSpan {
  const { name, kind, traceId, spanId, parentSpanId = '', links = [], attributes = [] } = span
  const [startedAt, endedAt] = [span.startTimeUnixNano, span.endTimeUnixNano].map(ns => Number(BigInt(ns) / 1_000_000n))
  const ids = links.map(link => ({ traceId: link.traceId, spanId: link.spanId }))
  const times = { startedAt: startedAt!, endedAt: endedAt! }
  return { name, kind, traceId, spanId, parentSpanId, ...times, links: ids, attributes: plain(attributes), resource }
}

function plain(attributes: OtlpAttributes): Record<string, string> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, String(Object.values(value)[0])]))
}
