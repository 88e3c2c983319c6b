import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { pause } from '#local/services/process.ts'
import { Random } from '#test/support/random.ts'
import type { Verdict } from '#verify/verify.ts'
import { dumpOf } from './dump.ts'
import { expectExact } from './exact.ts'
import { counterOf, Rig, type Worker } from './rig.ts'
import { schemaOf } from './spec.ts'

/** INTEGRITY_SEED=… replays the moments of the faults; the machine's own timing cannot be replayed. */
const seed = Number(process.env.INTEGRITY_SEED ?? Date.now() % 1_000_000)
const random = new Random(seed)
const RATE = 1500

let rig: Rig

beforeAll(async () => {
  rig = await Rig.start('integrity')
  console.log(`integrity seed ${seed}: replay with INTEGRITY_SEED=${seed}`)
})
afterAll(() => rig.stop())

/** Runs load and `meanwhile` side by side, waits until all is committed, and asks the verifier about everything so far. */
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

/** Records that the worker has read and nobody has committed. */
async function uncommitted(worker: Worker): Promise<number> {
  const { partitions } = await statusOf(worker)
  return partitions.reduce((sum, p) => sum + p.uncommitted, 0)
}

/** As it says while its store is away: nothing of it is in the results, though it is read. */
async function lag(worker: Worker): Promise<number> {
  const { partitions } = await statusOf(worker)
  return partitions.reduce((sum, p) => sum + p.lag, 0)
}

describe('with real processes, nothing is lost and nothing is doubled', () => {
  it('when workers are killed at random moments under load', async () => {
    const workers = [await rig.startWorker(), await rig.startWorker()]
    let dirty = 0
    const verdict = await underLoad(20, async () => {
      for (let kill = 0; kill < 4; kill++) {
        await pause(random.int(1500, 4000))
        const i = random.int(0, 1)
        // The commit under way is held up, so that the kill always finds work that is not committed.
        const release = await rig.holdProgress()
        await pause(random.int(150, 600))
        dirty += await uncommitted(workers[i]!)
        workers[i]!.process.kill('SIGKILL')
        await release()
        workers[i] = await rig.startWorker()
      }
    })
    expect(dirty, 'records uncommitted at the kills').toBeGreaterThan(0)
    expectExact(verdict)
    await stopAll(workers)
  }, 180_000)

  it('when a worker is stopped past its session time-out and continued', async () => {
    const workers = [await rig.startWorker(), await rig.startWorker()]
    let fenced = 0
    const verdict = await underLoad(20, async () => {
      for (let round = 0; round < 2; round++) {
        await pause(random.int(1500, 3000))
        const zombie = workers[round]!
        const release = await rig.holdProgress()
        await pause(random.int(200, 500)) // more is read than the commit on its way holds
        zombie.process.kill('SIGSTOP')
        await release()
        await pause(4000)
        zombie.process.kill('SIGCONT')
        await pause(2000)
        fenced += await counterOf(zombie, 'salespipeline_commit_failures_total', 'kind="fenced"')
      }
    })
    expect(fenced, 'fenced commits').toBeGreaterThan(0)
    expectExact(verdict)
    await stopAll(workers)
  }, 180_000)

  it('when a worker that lives is declared dead: it stops and says why, the other goes on', async () => {
    const [stays, goes] = [await rig.startWorker(), await rig.startWorker()]
    const verdict = await underLoad(8, async () => {
      await pause(random.int(1500, 3000))
      const { member } = await statusOf(goes)
      const answer = await fetch(`${stays.url}/members/${encodeURIComponent(member)}`, { method: 'DELETE' })
      expect(await answer.json()).toEqual({ removed: true })
      expect(await goes.exited).toBe(1)
    })
    expect(goes.log()).toContain('RemovedFromGroup: the operator declared this worker dead')
    expectExact(verdict)
    await stopAll([stays])
  }, 180_000)

  it('when PostgreSQL is killed and started again', async () => {
    const workers = [await rig.startWorker(), await rig.startWorker()]
    let [refused, behind] = [0, 0]
    const verdict = await underLoad(18, async () => {
      for (let kill = 0; kill < 2; kill++) {
        await pause(random.int(1500, 3500))
        await rig.servers.postgres.kill()
        await pause(random.int(1500, 2500))
        behind = Math.max(behind, (await lag(workers[0]!)) + (await lag(workers[1]!)))
        await rig.servers.postgres.start()
      }
      for (const worker of workers)
        refused += await counterOf(worker, 'salespipeline_commit_failures_total', 'kind="retryable"')
    })
    expect(refused, 'commits that PostgreSQL did not take').toBeGreaterThan(0)
    expect(behind, 'lag that was told while PostgreSQL was away').toBeGreaterThan(RATE / 4)
    expectExact(verdict)
    await stopAll(workers)
  }, 180_000)

  it('when the Kafka broker is killed and started again', async () => {
    const workers = [await rig.startWorker(), await rig.startWorker()]
    let unavailable = 0
    const verdict = await underLoad(20, async () => {
      await pause(random.int(2000, 4000))
      await rig.servers.kafka.kill()
      await pause(2500)
      for (const worker of workers) unavailable += (await fetch(`${worker.url}/readyz`)).status === 503 ? 1 : 0
      await rig.servers.kafka.start()
    })
    expect(unavailable, 'workers that said they were not ready').toBeGreaterThan(0)
    expectExact(verdict)
    await stopAll(workers)
  }, 240_000)

  it('when the number of workers goes from 1 to 3 to 2', async () => {
    const workers = [await rig.startWorker()]
    let rebalances = 0
    const verdict = await underLoad(20, async () => {
      await pause(4000)
      workers.push(await rig.startWorker(), await rig.startWorker())
      await pause(6000)
      for (const worker of workers) rebalances += await counterOf(worker, 'salespipeline_rebalances_total')
      await stopAll(workers.splice(0, 1))
    })
    expect(rebalances, 'rebalances').toBeGreaterThan(3)
    expectExact(verdict)
    await stopAll(workers)
  }, 180_000)

  it('when the topic gets more partitions', async () => {
    const workers = [await rig.startWorker(), await rig.startWorker()]
    await underLoad(4, () => pause(1500).then(() => rig.growTo(8)))
    const verdict = await underLoad(6, async () => {}) // a generator that starts now sends to all of them
    const added = await rig.query(
      `SELECT partition FROM ${rig.schema}.progress WHERE partition >= 6 AND first_offset = 0 AND accepted > 0`,
    )
    expect(added.length, 'added partitions that were read').toBe(2)
    const restarted = await rig.startWorker()
    while (!(await statusOf(restarted)).conditions.PartitionsAdded) await pause(100) // it tells, also after a restart
    expectExact(verdict)
    await stopAll([...workers, restarted])
  }, 180_000)

  it('and a straight run over the same log gives identical rows', async () => {
    const straight = rig.specText.replace('name: integrity', 'name: straight')
    const worker = await rig.startWorker(straight)
    await rig.drained(schemaOf(straight))
    const [interrupted, undisturbed] = [await dumpOf(rig, 'integrity'), await dumpOf(rig, 'straight')]
    expect(interrupted.length).toBeGreaterThan(1000)
    expect(undisturbed).toEqual(interrupted)
    await stopAll([worker])
  }, 180_000)
})
