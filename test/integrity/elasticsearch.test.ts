import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { pause } from '#local/services/process.ts'
import { Rig } from './rig.ts'

let rig: Rig

beforeAll(async () => {
  rig = await Rig.start('projection', { elasticsearch: true })
})
afterAll(() => rig.stop())

describe('integrity with Elasticsearch', () => {
  it('brings Elasticsearch up to date after it is killed under load and restarted', async () => {
    const worker = await rig.startWorker()
    let waiting = 0
    await Promise.all([
      rig.load(500, 15, 7),
      (async () => {
        await pause(4000)
        await rig.servers.elasticsearch!.kill()
        await pause(5000)
        const [row] = await rig.query<{ waiting: number }>(`SELECT count(*)::int AS waiting FROM ${rig.schema}.outbox`)
        waiting = row!.waiting
        // PostgreSQL continues meanwhile: a dead sink delays only itself.
        const [before] = await rig.query<{ records: string }>(
          `SELECT sum(records) AS records FROM ${rig.schema}.progress`,
        )
        await pause(1500)
        const [after] = await rig.query<{ records: string }>(
          `SELECT sum(records) AS records FROM ${rig.schema}.progress`,
        )
        expect(Number(after!.records)).toBeGreaterThan(Number(before!.records))
        await rig.servers.elasticsearch!.start()
      })(),
    ])
    expect(waiting, 'changes that waited for Elasticsearch').toBeGreaterThan(0)
    await rig.drained()
    const verdict = await rig.verdict()
    expect(verdict.problems).toEqual([])
    expect(verdict).toMatchObject({ ok: true, lost: 0, doubled: 0 })
    expect(Object.keys(verdict.perTable).join()).toMatch(/transactions-aggregated/)
    worker.process.kill('SIGTERM')
    expect(await worker.exited).toBe(0)
  }, 400_000)
})
