/** A bounded run: wait for every sink, send load for a time, drain, then verify everything since --fresh. */
import { readdirSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join, relative } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { kafkaAccess, sinkAccess } from '#verify/credentials.ts'
import { readDocument } from '#verify/spec.ts'
import { renderVerdict, type Verdict, verify } from '#verify/verify.ts'
import { drain } from './drain.ts'
import { coverage } from './farewell.ts'
import type { Options } from './options.ts'
import { buildReport, exitCodeOf, type Outcome } from './report.ts'
import type { Running, Setting, Stage } from './stage.ts'

/** `closing` returns the last lines to print; it is called once everything has stopped. */
export type Ending = { code: number; closing: () => string[] }

/** The servers already serve at this point, so a worker that needs longer has a problem. */
const READY_WITHIN_MS = 90_000
const POLL_MS = 250

/** Resolves with the exit code and what to print once everything has stopped. */
export async function runBounded(stage: Stage, setting: Setting, running: Running): Promise<Ending> {
  const { options, interruption, screen } = setting
  stage.phase = 'waiting for workers and sinks'
  await interruption.race(stage.elasticsearch)
  await interruption.race(everyWorkerReady(running, setting.folder.logs))
  stage.phase = 'running'
  const startedAt = Date.now()
  running.load?.start()
  await interruption.race(running.load ? running.load.child.done : sleep(options.forMs))
  stage.phase = 'draining'
  const drained = await interruption.race(settle(running, setting))
  stage.sampleUsage()
  const endedAt = Date.now()
  await stage.closeView()
  screen.log('verifying every row …')
  const verdict = await interruption.race(judge(setting, running, startedAt))
  return conclude(options, verdict, {
    ...describeRun(running),
    startedAt,
    endedAt,
    verdict,
    drained,
    logs: relative('', setting.folder.logs),
    usage: stage.meter.report(),
  })
}

function describeRun({ pipeline, load, workers }: Running) {
  const { namespace, name } = pipeline.metadata
  return {
    pipeline: `${namespace}/${name}`,
    load: load && {
      offeredRate: pipeline.spec.load.rate,
      sent: load.sent,
      restarts: load.child.restarts,
      report: load.report,
    },
    workerRestarts: workers.children.reduce((sum, child) => sum + child.restarts, 0),
    environment: {
      node: process.version,
      platform: `${process.platform}-${process.arch}`,
      cpus: availableParallelism(),
    },
  }
}

function conclude(options: Options, verdict: Verdict, outcome: Outcome): Ending {
  const { report: file } = options
  const report = buildReport(outcome)
  if (file) writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`)
  const { ok, problems } = report
  return {
    code: exitCodeOf(report),
    closing: () => [
      renderVerdict({ ...verdict, ok, problems }),
      '',
      coverage(options),
      ...(file ? [`Report written to ${file}`] : []),
    ],
  }
}

/**
 * Resolves when all workers are ready and the whole topic is assigned: otherwise the delay would include their start.
 * Throws an Error that names the workers that are not ready in time.
 */
async function everyWorkerReady({ workers, topic }: Running, logs: string): Promise<void> {
  for (const deadline = Date.now() + READY_WITHIN_MS; ; await sleep(POLL_MS)) {
    const rows = await workers.poll(Date.now())
    const unready = rows.filter(row => row.state !== 'running' || row.reasons.length > 0)
    const assigned = rows.reduce((sum, row) => sum + row.partitions, 0)
    if (unready.length === 0 && assigned >= topic.partitions) return
    if (Date.now() < deadline) continue
    const problems =
      unready.length > 0
        ? unready.map(row => `  ${row.name}, ${row.state}: ${row.reasons.join('; ')}`)
        : [`  ${assigned} of ${topic.partitions} partitions assigned`]
    throw new Error(
      `only ${rows.length - unready.length} of ${rows.length} workers are ready after ${READY_WITHIN_MS / 1000} s; see the logs of the workers in ${relative('', logs)}\n${problems.join('\n')}`,
    )
  }
}

/**
 * Drains, then stops the workers, so that no row changes while rows are compared. If a window becomes final between the
 * two, its row still waits to be projected: then the workers start once more.
 */
async function settle({ observer, workers }: Running, { folder, screen, interruption }: Setting): Promise<boolean> {
  for (;;) {
    const drained = await drain({
      poll: () => observer.remaining(),
      sleep,
      now: Date.now,
      log: screen.log,
      folder: relative('', folder.path),
    })
    await workers.stop()
    const left = await observer.remaining()
    if (!drained || left === null || interruption.isOver) return false
    if (left.records + left.toProject === 0) return true
    workers.start()
  }
}

async function judge({ folder, screen }: Setting, running: Running, startedAt: number): Promise<Verdict> {
  const { sinks, source } = running.pipeline.spec
  const written = readDocument(running.document).spec
  const { host, port, user, password = '', database, ssl } = running.postgres
  const hasJournal = readdirSync(folder.journal).length > 0
  return verify({
    specText: running.document,
    bootstrap: source.bootstrapServers.join(','),
    kafka: kafkaAccess(written.source, process.env),
    postgres: { host, port, user, password, database, ...(ssl && { ssl }) },
    ...(sinks.elasticsearch && {
      elasticsearch: {
        url: sinks.elasticsearch.nodes[0]!,
        ...sinkAccess(written.sinks?.elasticsearch ?? {}, process.env),
      },
    }),
    ...(hasJournal && { journalDir: folder.journal }),
    commitLogs: readdirSync(folder.commits).map(name => join(folder.commits, name)),
    delay: { from: startedAt },
    onProgress: screen.log,
  })
}
