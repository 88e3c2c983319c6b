/** Whole pipelines behind PgBouncer: workers, verifier and commands connect to nothing else. */
import { describe, expect, it } from 'vitest'
import { pause } from '#local/services/process.ts'
import { expectExact } from '../integrity/exact.ts'
import { Rig } from '../integrity/rig.ts'
import { type PoolMode, startPgbouncer } from '../support/pgbouncer.ts'
import { until } from '../support/until.ts'

/** For all programs together: fewer than their connections in transaction mode. */
const SERVERS: Partial<Record<PoolMode, number>> = { transaction: 4, session: 60 }

const rigBehind = (mode: PoolMode, options: { elasticsearch?: boolean } = {}) =>
  Rig.start(`pooled-${mode}`, {
    ...options,
    pooler: postgres => startPgbouncer(postgres, { mode, servers: SERVERS[mode] ?? 4 }),
  })

/** Kills one of two workers again and again under load. */
async function runWithKills(rig: Rig, kills: number): Promise<void> {
  const workers = [await rig.startWorker(), await rig.startWorker()]
  const killing = async () => {
    for (let kill = 0; kill < kills; kill++) {
      await pause(3000)
      const release = await rig.holdProgress() // so that a commit is in progress
      await pause(300)
      workers[kill % 2]!.process.kill('SIGKILL')
      await release()
      workers[kill % 2] = await rig.startWorker()
    }
  }
  await Promise.all([rig.load(1000, 15, 5), killing()])
  await rig.drained()
}

describe('a pipeline behind PgBouncer', () => {
  it('counts exactly in transaction mode of PgBouncer when workers are killed, and every program works', async () => {
    const rig = await rigBehind('transaction', { elasticsearch: true })
    try {
      await runWithKills(rig, 3)
      expectExact(await rig.verdict())
      const rebuilt = await rig.run('processor/main.ts', ['sinks', 'rebuild'])
      expect(rebuilt).toMatchObject({ code: 0, output: expect.stringContaining('the workers have written every row') })
      const { url } = await rig.startIngest()
      const checked = await rig.run('producer/main.ts', ['check', '--url', url])
      expect(checked, checked.output).toMatchObject({ code: 0 })
    } finally {
      await rig.stop()
    }
  }, 400_000)

  it('counts exactly in session mode of PgBouncer when workers are killed', async () => {
    const rig = await rigBehind('session')
    try {
      await runWithKills(rig, 2)
      expectExact(await rig.verdict())
    } finally {
      await rig.stop()
    }
  }, 400_000)

  it('stops with the reason in statement mode', async () => {
    const rig = await rigBehind('statement')
    try {
      const worker = await rig.startWorker()
      expect(await worker.exited).toBe(1)
      const reason = /"code":"PoolerUnsupported"/
      await until('the reason in the log', () => reason.test(worker.log()))
      expect(worker.log()).toMatch(/statement pooling mode.*Set pool_mode = transaction/)
    } finally {
      await rig.stop()
    }
  }, 200_000)
})
