import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { pause } from '#local/services/process.ts'
import { pauseProcess } from '#test/support/pause-process.ts'
import { Random } from '#test/support/random.ts'
import { apiServerKeys } from '#test/support/removal-tokens.ts'
import { until } from '#test/support/until.ts'
import type { Verdict } from '#verify/verify.ts'
import { dumpOf } from './dump.ts'
import { expectExact } from './exact.ts'
import { counterOf, Rig, type Worker } from './rig.ts'
import { schemaOf } from './spec.ts'

/** INTEGRITY_SEED=… replays the times of the faults; the timing of the machine cannot be replayed. */
const seed = Number(process.env.INTEGRITY_SEED ?? Date.now() % 1_000_000)
const random = new Random(seed)
/** Sales per second. Each test verifies all sales so far, so a higher rate costs more in verification than in load. */
const RATE = 1000
const PIPELINE = { namespace: 'default', name: 'integrity' }

let rig: Rig

beforeAll(async () => {
  rig = await Rig.start('integrity')
  console.log(`integrity seed ${seed}: replay with INTEGRITY_SEED=${seed}`)
})
afterAll(() => rig.stop())

/** Runs load and `meanwhile` concurrently, waits until all is committed, and verifies everything so far. */
async function underLoad(seconds: number, meanwhile: () => Promise<void>): Promise<Verdict> {
  await Promise.all([rig.load(RATE, seconds, random.int(1, 1e6)), meanwhile()])
  await rig.drained()
  return rig.verdict()
}

async function stopAll(workers: Worker[]): Promise<void> {
  for (const { process } of workers) process.kill('SIGTERM')
  expect(await Promise.all(workers.map(worker => worker.exited))).toEqual(workers.map(() => 0))
}

type Status = {
  member: string
  partitions: { partition: number; lag: number; uncommitted: number }[]
  conditions: Record<string, string>
}

const statusOf = async (worker: Worker) => (await (await fetch(`${worker.url}/status`)).json()) as Status

/** Resolves with the number of records that the worker has read and that are not committed. */
async function uncommitted(worker: Worker): Promise<number> {
  const { partitions } = await statusOf(worker)
  return partitions.reduce((sum, p) => sum + p.uncommitted, 0)
}

/** Resolves with the lag that the worker reports: records that are not in the results, even if they are read. */
async function lag(worker: Worker): Promise<number> {
  const { partitions } = await statusOf(worker)
  return partitions.reduce((sum, p) => sum + p.lag, 0)
}

/** Commits of a zombie that were fenced: none where the new owner ended its connection before it could commit. */
async function fencedCommits(zombie: Worker): Promise<number> {
  const read = () => counterOf(zombie, 'salespipeline_commit_failures_total', 'kind="fenced"')
  return until('a fenced commit', read, 10_000).catch(() => 0)
}

describe('integrity of real processes', () => {
  it('keeps rows exact when workers are killed at random times under load', async () => {
    const workers = [await rig.startWorker(), await rig.startWorker()]
    let dirty = 0
    const verdict = await underLoad(20, async () => {
      for (let kill = 0; kill < 4; kill++) {
        await pause(random.int(1500, 4000))
        const i = random.int(0, 1)
        // Blocks the commit in flight, so that the kill always hits uncommitted work.
        const release = await rig.holdProgress()
        await pause(random.int(150, 600))
        // None while it has no partitions: it may just have been restarted.
        dirty += await until('uncommitted records', () => uncommitted(workers[i]!), 5_000).catch(() => 0)
        workers[i]!.process.kill('SIGKILL')
        await release()
        workers[i] = await rig.startWorker()
      }
    })
    expect(dirty, 'records uncommitted at the kills').toBeGreaterThan(0)
    expectExact(verdict)
    await stopAll(workers)
  }, 180_000)

  it('keeps rows exact when a worker is stopped past its session timeout and continued', async () => {
    const workers = [await rig.startWorker(), await rig.startWorker()]
    let fenced = 0
    const verdict = await underLoad(20, async () => {
      for (let round = 0; round < 2; round++) {
        await pause(random.int(1500, 3000))
        const zombie = workers[round]!
        const release = await rig.holdProgress()
        await pause(random.int(200, 500)) // the worker reads more than the commit in flight contains
        await pauseProcess(zombie.process.pid!)
        await release()
        await pause(4000)
        zombie.process.kill('SIGCONT')
        fenced += await fencedCommits(zombie)
      }
    })
    expect(fenced, 'fenced commits').toBeGreaterThan(0)
    expectExact(verdict)
    await stopAll(workers)
  }, 180_000)

  it('keeps rows exact when a live worker is declared dead: it exits with the reason, and the other continues', async () => {
    const api = await apiServerKeys(PIPELINE)
    const env = { MEMBERS_KEYS: api.keysFile, MEMBERS_PORT: '0' }
    const [remaining, removed] = [await rig.startWorker(rig.specText, env), await rig.startWorker()]
    const verdict = await underLoad(8, async () => {
      await pause(random.int(1500, 3000))
      const { member } = await statusOf(removed)
      const path = `${remaining.membersUrl}/members/${encodeURIComponent(member)}`
      expect((await fetch(path, { method: 'DELETE' })).status).toBe(401)
      const headers = { authorization: `Bearer ${await api.token(member)}` }
      const answer = await fetch(path, { method: 'DELETE', headers })
      expect(await answer.json()).toEqual({ removed: true })
      expect(await removed.exited).toBe(1)
    })
    expect(removed.log()).toContain('RemovedFromGroup: the operator declared this worker dead')
    expectExact(verdict)
    await stopAll([remaining])
  }, 180_000)

  it('keeps rows exact when PostgreSQL is killed and restarted', async () => {
    const workers = [await rig.startWorker(), await rig.startWorker()]
    let [refused, behind] = [0, 0]
    const verdict = await underLoad(18, async () => {
      for (let kill = 0; kill < 2; kill++) {
        await pause(random.int(1500, 3500))
        await rig.servers.postgres.kill()
        await pause(random.int(1500, 2500))
        behind = await until('lag grows while PostgreSQL is down', async () => {
          const sum = (await lag(workers[0]!)) + (await lag(workers[1]!))
          return sum > RATE / 4 && sum
        })
        await rig.servers.postgres.start()
      }
      for (const worker of workers)
        refused += await counterOf(worker, 'salespipeline_commit_failures_total', 'kind="retryable"')
    })
    expect(refused, 'commits that PostgreSQL did not accept').toBeGreaterThan(0)
    expect(behind, 'lag reported while PostgreSQL was down').toBeGreaterThan(RATE / 4)
    expectExact(verdict)
    await stopAll(workers)
  }, 180_000)

  it('keeps rows exact when the Kafka broker is killed and restarted', async () => {
    const workers = [await rig.startWorker(), await rig.startWorker()]
    let unavailable = 0
    const verdict = await underLoad(20, async () => {
      await pause(random.int(2000, 4000))
      await rig.servers.kafka.kill()
      unavailable = await until('a worker that is not ready', async () => {
        const probes = await Promise.all(workers.map(worker => fetch(`${worker.url}/readyz`)))
        return probes.filter(({ status }) => status === 503).length
      })
      await rig.servers.kafka.start()
    })
    expect(unavailable, 'workers that reported not ready').toBeGreaterThan(0)
    expectExact(verdict)
    await stopAll(workers)
  }, 240_000)

  it('keeps rows exact when the number of workers changes from 1 to 3 to 2', async () => {
    const workers = [await rig.startWorker()]
    let rebalances = 0
    const verdict = await underLoad(20, async () => {
      await pause(4000)
      workers.push(await rig.startWorker(), await rig.startWorker())
      // At least one for each worker that joins, and one more for the first.
      rebalances = await until('rebalances', async () => {
        const counts = await Promise.all(workers.map(worker => counterOf(worker, 'salespipeline_rebalances_total')))
        const sum = counts.reduce((total, count) => total + count, 0)
        return sum > 3 && sum
      })
      await pause(3000)
      await stopAll(workers.splice(0, 1))
    })
    expect(rebalances, 'rebalances').toBeGreaterThan(3)
    expectExact(verdict)
    await stopAll(workers)
  }, 180_000)

  it('keeps rows exact when partitions are added to the topic', async () => {
    const workers = [await rig.startWorker(), await rig.startWorker()]
    await underLoad(4, () => pause(1500).then(() => rig.growTo(8)))
    const verdict = await underLoad(6, async () => {}) // a load generator that starts now sends to all of them
    const added = await rig.query(
      `SELECT partition FROM ${rig.schema}.progress WHERE partition >= 6 AND first_offset = 0 AND accepted > 0`,
    )
    expect(added.length, 'added partitions that were read').toBe(2)
    const restarted = await rig.startWorker()
    const isReported = async () => (await statusOf(restarted)).conditions.PartitionsAdded !== undefined
    await until('PartitionsAdded is reported, also after a restart', isReported, 60_000)
    expectExact(verdict)
    await stopAll([...workers, restarted])
  }, 180_000)

  it('stores the same rows in an undisturbed run over the same log', async () => {
    const specText = rig.specText.replace('name: integrity', 'name: undisturbed')
    const worker = await rig.startWorker(specText)
    await rig.drained(schemaOf(specText))
    const [interrupted, undisturbed] = [await dumpOf(rig, 'integrity'), await dumpOf(rig, 'undisturbed')]
    expect(interrupted.length).toBeGreaterThan(1000)
    expect(undisturbed).toEqual(interrupted)
    await stopAll([worker])
  }, 180_000)
})
