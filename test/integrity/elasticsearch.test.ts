import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { until } from '#test/support/until.ts'
import { Rig } from './rig.ts'

let rig: Rig

beforeAll(async () => {
  rig = await Rig.start('projection', { elasticsearch: true })
})
afterAll(() => rig.stop())

async function committed(): Promise<number> {
  const [row] = await rig.query<{ records: number }>(
    `SELECT coalesce(sum(records), 0)::int AS records FROM ${rig.schema}.progress`,
  )
  return row!.records
}

async function waitingForSink(): Promise<number> {
  const [row] = await rig.query<{ waiting: number }>(`SELECT count(*)::int AS waiting FROM ${rig.schema}.outbox`)
  return row!.waiting
}

describe('integrity with Elasticsearch', () => {
  it('brings Elasticsearch up to date after it is killed under load and restarted', async () => {
    const worker = await rig.startWorker()
    let waiting = 0
    await Promise.all([
      rig.load(500, 15, 7),
      (async () => {
        await until('the first commit', async () => (await committed().catch(() => 0)) > 0, 60_000)
        await rig.servers.elasticsearch!.kill()
        waiting = await until('changes wait for Elasticsearch', waitingForSink, 60_000)
        // PostgreSQL continues meanwhile: a dead sink delays only itself.
        const before = await committed()
        await until('commits continue without Elasticsearch', async () => (await committed()) > before, 60_000)
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
