import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { emptyIndex } from '#test/support/empty-index.ts'
import { until } from '#test/support/until.ts'
import { Rig } from './rig.ts'

const INDEX = 'transactions-aggregated'

const LOSSES = [
  ['deletes', 8, () => send('DELETE')],
  ['empties', 9, () => emptyIndex(rig.servers.elasticsearch!.url, INDEX)],
] as const

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

const send = (method: string, path = '') => fetch(`${rig.servers.elasticsearch!.url}/${INDEX}${path}`, { method })

async function count(): Promise<number> {
  const refreshed = await send('POST', '/_refresh')
  if (refreshed.status === 404) return 0
  return ((await (await send('GET', '/_count')).json()) as { count: number }).count
}

async function rows(): Promise<number> {
  const [row] = await rig.query<{ rows: number }>(`SELECT count(*)::int AS rows FROM ${rig.schema}.sales_summary`)
  return row!.rows
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

  it.each(LOSSES)(
    'fills an index again that somebody %s while sales arrive',
    async (_, seed, lose) => {
      const worker = await rig.startWorker()
      const before = await committed()
      await Promise.all([
        rig.load(300, 10, seed),
        (async () => {
          await until('commits continue', async () => (await committed()) > before, 60_000)
          expect(await count()).toBeGreaterThan(0)
          await lose()
          expect(await count(), 'documents that are left').toBeLessThan(await rows())
        })(),
      ])
      await until('every document is back', async () => (await count()) === (await rows()), 120_000, 1000)
      await rig.drained()
      const verdict = await rig.verdict()
      expect(verdict.problems).toEqual([])
      expect(verdict).toMatchObject({ ok: true, lost: 0, doubled: 0 })
      const conditions = async () =>
        ((await (await fetch(`${worker.url}/status`)).json()) as { conditions: object }).conditions
      await until('the condition clears', async () => !('ProjectionRebuilding' in (await conditions())), 10_000)
      worker.process.kill('SIGTERM')
      expect(await worker.exited).toBe(0)
      expect(worker.log()).toMatch(
        /ProjectionRebuilding: writing all rows .*transactions-aggregated \(\d+ of \d+ rows written\)/,
      )
    },
    400_000,
  )
})
