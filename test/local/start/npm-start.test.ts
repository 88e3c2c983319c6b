/** `npm start` as a user runs it, on real servers. All its processes must have exited afterwards. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freePort } from '#local/services/host.ts'
import { startPostgres } from '#local/services/postgres.ts'
import type { Report } from '#local/start/report.ts'
import { kafka, postgres, unique } from '#test/support/services.ts'

const NAME = `start-test-${process.pid}`
const DATA = resolve('.local', NAME)
const folder = mkdtempSync(join(tmpdir(), 'npm-start-'))
const file = join(folder, 'shop.yaml')
const SCHEMA = NAME.replaceAll('-', '_')

writeFileSync(
  file,
  readFileSync('k8s/examples/ecommerce.yaml', 'utf8')
    .replace('name: ecommerce', `name: ${NAME}`)
    .replace(/ {4}elasticsearch:[\s\S]*?(?= {2}load:)/, ''), // it needs a minute to start and is not tested here
)

let running: ChildProcess | undefined
afterAll(() => {
  running?.kill('SIGKILL')
  for (const path of [folder, DATA, `${DATA}@external`]) rmSync(path, { recursive: true, force: true })
})

/** Starts it without a terminal. `output` grows; `exited` resolves with the exit code. */
const start = (...flags: string[]) => startFile(file, flags)

function startFile(document: string, flags: string[], env: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, ['local/main.ts', document, ...flags], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  })
  running = child
  const run = { child, output: '', exited: new Promise<number | null>(done => child.once('close', code => done(code))) }
  for (const stream of [child.stdout, child.stderr]) stream.on('data', data => (run.output += data))
  return run
}

async function until(run: { output: string; child: ChildProcess }, pattern: RegExp): Promise<void> {
  while (!pattern.test(run.output)) {
    if (run.child.exitCode !== null) throw new Error(`it exited without printing ${pattern}:\n${run.output}`)
    await new Promise(done => setTimeout(done, 100))
  }
}

/** Returns the command lines of processes that use our data. */
function leftBehind(): string[] {
  const pids = readdirSync('/proc').filter(name => /^\d+$/.test(name))
  return pids.map(commandLine).filter(line => line.includes(NAME))
}

/** Returns the pid of a process that uses our data and runs the script. */
function processOf(script: RegExp): number {
  const pids = readdirSync('/proc').filter(name => /^\d+$/.test(name))
  return Number(pids.find(pid => script.test(commandLine(pid)) && commandLine(pid).includes(NAME)))
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
  } catch {
    return '' // it has exited in the meantime
  }
}

async function changeOneRow(): Promise<void> {
  const server = await startPostgres({ dataDir: join(DATA, 'postgres') })
  const { host, port, user, password } = server
  const client = new pg.Client({ host, port, user, password, database: 'sales' })
  await client.connect()
  const changed = await client.query(
    `UPDATE ${SCHEMA}.sales_summary SET revenue = revenue + 0.01 WHERE (window_start, category) IN (SELECT window_start, category FROM ${SCHEMA}.sales_summary LIMIT 1)`,
  )
  await client.end()
  await server.stop()
  expect(changed.rowCount).toBe(1)
}

describe.runIf(process.platform === 'linux')('npm start', () => {
  it('runs until Ctrl-C, survives killed and terminated processes, and leaves no process behind', {
    timeout: 240_000,
  }, async () => {
    const run = start('--workers', '2', '--rate', '200')
    await until(run, /2 of 2 workers ready/)
    await until(run, /running: sent [1-9]\d*\/s, committed [1-9]\d*\/s/)
    expect(run.output).toMatch(/using 127\.0\.0\.1:\d+ instead of postgres:5432/)
    process.kill(processOf(/processor\/main\.ts/), 'SIGKILL')
    await until(run, /worker-\d killed by SIGKILL; restarting in 1 s[\s\S]*2 of 2 workers ready/)
    process.kill(processOf(/processor\/main\.ts/), 'SIGTERM')
    process.kill(processOf(/producer\/main\.ts/), 'SIGTERM')
    await until(run, /worker-\d exited with code 0, as after SIGTERM or SIGINT; restarting in [12] s/)
    await until(run, /load exited with code 0, as after SIGTERM or SIGINT; restarting in 1 s/)
    await until(run, /exited with code 0[\s\S]*2 of 2 workers ready, restarted 2 times in all/)
    // The third status line after the exit is at least 10 s later; its rate covers only the last 5 s.
    await until(run, /load exited with code 0(?:[\s\S]*?: sent ){3}[1-9]\d*\/s/)
    expect(leftBehind().length).toBeGreaterThan(4) // proves that leftBehind() finds processes
    run.child.kill('SIGINT')
    expect(await run.exited).toBe(0)
    expect(run.output).toMatch(/Stopped\. [\d,]+ sales sent in this run\. [\d,]+ records committed in all runs\./)
    expect(leftBehind()).toEqual([])
  })

  it('restarts Kafka when it is killed, and again when it is killed while it is starting', {
    timeout: 240_000,
  }, async () => {
    const run = start('--rate', '200')
    await until(run, /2 of 2 workers ready/)
    const first = processOf(/kafka\.Kafka/)
    process.kill(first, 'SIGKILL')
    await until(run, /Kafka exited\. .*restarting it in 1 s/)
    let second = 0
    while (!(second > 0)) {
      await new Promise(done => setTimeout(done, 50))
      second = processOf(/kafka\.Kafka/)
    }
    process.kill(second, 'SIGKILL')
    await until(run, /Kafka exited while starting\. .*restarting it in 2 s[\s\S]*: sent [1-9]\d*\/s, committed [1-9]/)
    run.child.kill('SIGINT')
    expect(await run.exited).toBe(0)
    expect(leftBehind()).toEqual([])
  })

  it('continues where it stopped, and verifies all runs in a bounded run', {
    timeout: 240_000,
  }, async () => {
    const report = join(folder, 'r.json')
    const run = start(
      '--for',
      '5s',
      '--report',
      report,
      '--duplicates',
      '0.1',
      '--malformed',
      '0.05',
      '--lateness',
      '0.1',
    )
    expect({ code: await run.exited, output: run.output }).toMatchObject({ code: 0 })
    const figures = JSON.parse(readFileSync(report, 'utf8')) as Report
    expect(figures).toMatchObject({ ok: true, drained: true, lost: 0, doubled: 0, problems: [], offeredRate: 100 })
    expect(figures.rows).toMatchObject({ missing: 0, extra: 0, unequal: 0 })
    expect(figures.rows.compared).toBeGreaterThan(10)
    expect(figures.sentInThisRun).toBeGreaterThanOrEqual(500)
    expect(figures.sent!).toBeGreaterThan(figures.sentInThisRun) // includes the first run's sales
    expect(figures.delayMs).toMatchObject({ samples: figures.sentInThisRun, neverCommitted: 0 })
    for (const kind of ['duplicates', 'deadLettered', 'late'] as const) expect(figures[kind]).toBeGreaterThan(0)
    expect(Object.keys(figures.processes).sort()).toEqual(['kafka', 'load', 'postgres', 'worker-1', 'worker-2'])
    for (const { cpuSeconds, peakMemoryBytes } of Object.values(figures.processes)) {
      expect(cpuSeconds).toBeGreaterThan(0)
      expect(peakMemoryBytes).toBeGreaterThan(1e6)
    }
    expect(leftBehind()).toEqual([])
  })

  it('exits with 1 and reports one unequal row after one cent was changed', { timeout: 240_000 }, async () => {
    await changeOneRow()
    const run = start('--no-load', '--for', '1s')
    expect({ code: await run.exited, output: run.output }).toMatchObject({ code: 1 })
    expect(run.output).toMatch(/NOT OK[\s\S]*sales_summary +\d+ compared, 0 missing, 0 extra, 1 unequal/)
    expect(leftBehind()).toEqual([])
  })

  it('gives a reason when there is nothing to verify', { timeout: 240_000 }, async () => {
    const run = start('--no-load', '--for', '1s', '--fresh')
    expect({ code: await run.exited, output: run.output }).toMatchObject({ code: 1 })
    expect(run.output).toMatch(/NOT OK[\s\S]*problem: no row was compared: .*Send sales first/)
    expect(run.output).not.toMatch(/^OK/m)
  })

  it('leaves no process behind when it is killed', { timeout: 240_000 }, async () => {
    const run = start()
    await until(run, /2 of 2 workers ready/)
    expect(leftBehind().length).toBeGreaterThan(4)
    run.child.kill('SIGKILL')
    await run.exited
    while (leftBehind().length > 0) await new Promise(done => setTimeout(done, 100))
  })
})

describe('npm start --external', () => {
  const external = join(folder, 'external.yaml')
  const shared: Record<string, string> = {}

  beforeAll(async () => {
    const [{ bootstrap }, { createDatabase }] = await Promise.all([kafka(), postgres()])
    const { host, port, user, password, database } = await createDatabase()
    Object.assign(shared, { SECRET_POSTGRES_USERNAME: user, SECRET_POSTGRES_PASSWORD: password })
    const text = readFileSync(file, 'utf8')
      .replace(/bootstrapServers: .*/, `bootstrapServers: ["${bootstrap}"]`)
      .replace('topic: transactions', `topic: ${unique('external')}`)
      .replace('host: postgres', `host: ${host}\n      port: ${port}`)
      .replace('database: sales', `database: ${database}`)
    writeFileSync(external, text)
    writeFileSync(join(folder, 'refused.yaml'), text.replace(`port: ${port}`, `port: ${await freePort()}`))
  })

  it('verifies what is on the servers, and advises nothing that it would refuse', { timeout: 120_000 }, async () => {
    const run = startFile(external, ['--external', '--for', '3s'], shared)
    expect({ code: await run.exited, output: run.output }).toMatchObject({ code: 0 })
    expect(run.output).toMatch(/^OK[\s\S]*cover everything in the topic and in the tables/m)
    expect(run.output).not.toContain('--fresh')
  })

  it('shows why no worker is ready, and proposes to continue on the same servers', { timeout: 120_000 }, async () => {
    const run = startFile(join(folder, 'refused.yaml'), ['--external'], shared)
    await until(
      run,
      /0 of 2 workers ready \(worker-1, worker-2: Starting; StoreUnavailable: PostgreSQL error .*ECONNREFUSED/,
    )
    run.child.kill('SIGINT')
    expect(await run.exited).toBe(0)
    expect(run.output).toMatch(/continue: +npm start -- \S+refused\.yaml --external$/m)
    expect(run.output).not.toContain('--fresh')
  })
})

describe('wrong arguments', () => {
  it.each([
    [['--rate', 'fast'], '--rate needs a number'],
    [['--nonsense'], 'Unknown argument: nonsense'],
  ])('exits with 2 for the arguments %j before it starts anything', async (flags, message) => {
    const run = start(...flags)
    expect({ code: await run.exited, output: run.output }).toEqual({
      code: 2,
      output: expect.stringContaining(message),
    })
  })

  it('exits with 2 for a faulty file, and names all faults with their lines', async () => {
    const text = readFileSync(file, 'utf8')
    writeFileSync(
      join(folder, 'faulty.yaml'),
      text.replace('partitions: 8', 'partitions: 0').replace('op: count', 'op: add'),
    )
    const child = spawn(process.execPath, ['local/main.ts', join(folder, 'faulty.yaml')], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let output = ''
    child.stderr.on('data', data => (output += data))
    expect(await new Promise(done => child.once('close', done))).toBe(2)
    expect(output).toMatch(/spec\.source\.partitions \(line \d+\).*\n.*measures\[1\]\.op \(line \d+\)/)
  })
})
