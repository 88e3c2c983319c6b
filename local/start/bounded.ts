/** A bounded run: every sink answers, load for a time, drain, then the verifier judges everything since --fresh. */
import { readdirSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { SecretRef } from '#pipeline/schema.ts'
import { secretVariable } from '#pipeline/secrets.ts'
import { renderVerdict, type Verdict, verify } from '#verify/verify.ts'
import { drain } from './drain.ts'
import { buildReport, exitCodeOf, type Outcome } from './report.ts'
import type { Running, Setting, Stage } from './stage.ts'

/** `closing`: what to say, asked once everything is down. */
export type Ending = { code: number; closing: () => string[] }

/** Servers answer by then: what is not ready has a reason. */
const READY_WITHIN_MS = 90_000
const ASK_EVERY_MS = 250

/** Answers the exit code and what to print once everything is down. */
export async function runBounded(stage: Stage, setting: Setting, running: Running): Promise<Ending> {
  const { options, interruption, screen } = setting
  stage.phase = 'waiting for every sink'
  await interruption.race(stage.elasticsearch)
  await interruption.race(everyWorkerReady(running))
  stage.phase = 'running'
  const startedAt = Date.now()
  running.load?.start()
  await interruption.race(running.load ? running.load.child.done : sleep(options.forMs))
  stage.phase = 'draining'
  const drained = await interruption.race(settle(running, setting))
  stage.sampleUsage()
  const endedAt = Date.now()
  await stage.closeView()
  screen.tell('verifying every row …')
  const verdict = await interruption.race(judge(setting, running, startedAt))
  return conclude(options.report, verdict, {
    ...describeRun(running),
    ...{ startedAt, endedAt, verdict, drained, usage: stage.meter.report() },
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

function conclude(file: string | undefined, verdict: Verdict, outcome: Outcome): Ending {
  const report = buildReport(outcome)
  if (file) writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`)
  const own = report.problems.filter(problem => !verdict.problems.includes(problem))
  return {
    code: exitCodeOf(report),
    closing: () => [
      renderVerdict(verdict),
      ...own.map(problem => `  problem: ${problem}`),
      '',
      'Rows and counts cover everything since --fresh; the delay is that of this run’s records.',
      ...(file ? [`Report: ${file}`] : []),
    ],
  }
}

/** Until all workers are ready and the whole topic is assigned; otherwise delay would measure their start. */
async function everyWorkerReady({ workers, topic }: Running): Promise<void> {
  for (const deadline = Date.now() + READY_WITHIN_MS; ; await sleep(ASK_EVERY_MS)) {
    const rows = await workers.look(Date.now())
    const unready = rows.filter(row => row.state !== 'running' || row.reasons.length > 0)
    const assigned = rows.reduce((sum, row) => sum + row.partitions, 0)
    if (unready.length === 0 && assigned >= topic.partitions) return
    if (Date.now() < deadline) continue
    const reasons = unready.map(row => `${row.name} is ${row.state}: ${row.reasons.join('; ')}`)
    throw new Error(
      `the workers are not ready after ${READY_WITHIN_MS / 1000} s:\n${reasons.join('\n') || `${assigned} partitions assigned`}`,
    )
  }
}

/**
 * Drains, then stops the workers, so that nothing moves while rows are compared. A window may become final, and wait to
 * be projected, in the moment between: then they start once more.
 */
async function settle({ observer, workers }: Running, { screen, interruption }: Setting): Promise<boolean> {
  for (;;) {
    const drained = await drain({ look: () => observer.remaining(), sleep, now: Date.now, tell: screen.tell })
    await workers.stop()
    const left = await observer.remaining()
    if (!drained || left === null || interruption.isOver) return false
    if (left.records + left.toProject === 0) return true
    workers.start()
  }
}

async function judge({ folder, screen }: Setting, running: Running, startedAt: number): Promise<Verdict> {
  const { source, sinks } = running.pipeline.spec
  const { host, port, user, password = '', database } = running.postgres
  const hasJournal = readdirSync(folder.journal).length > 0
  return verify({
    specText: running.document,
    bootstrap: source.bootstrapServers.join(','),
    postgres: { host, port, user, password, database },
    ...(sinks.elasticsearch && { elasticsearch: elasticsearchOf(sinks.elasticsearch) }),
    ...(hasJournal && { journalDir: folder.journal }),
    commitLogs: readdirSync(folder.commits).map(name => join(folder.commits, name)),
    delay: { from: startedAt },
    onProgress: screen.tell,
  })
}

function elasticsearchOf(sink: {
  nodes: string[]
  usernameSecretRef?: SecretRef | undefined
  passwordSecretRef?: SecretRef | undefined
}) {
  const { nodes, usernameSecretRef: user, passwordSecretRef: password } = sink
  const secret = (ref: SecretRef | undefined) => (ref ? (process.env[secretVariable(ref)] ?? '') : '')
  return { url: nodes[0]!, ...(user && { user: secret(user), password: secret(password) }) }
}
