import { execFileSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ownPostgres } from '#test/support/services.ts'
import { byStore, commitOf, ready, retried, T0 } from './fixture.ts'
import { harnessOn } from './postgres-harness.ts'

let server: Awaited<ReturnType<typeof ownPostgres>>
beforeAll(async () => {
  server = await ownPostgres('failover')
  await server.createDatabase('sales')
})
afterAll(() => server.stop())

const connected = () => harnessOn({ ...server, database: 'sales' })

/** Takes and confirms until nothing waits. Resolves with the stores that a sink would show now. */
async function projectAll(store: Awaited<ReturnType<typeof ready>>['store']): Promise<Set<unknown>> {
  const shown = new Set<unknown>()
  for (let work = await store.take(100); work; work = await store.take(100)) {
    for (const { document } of work.rows) shown.add(document!.store)
    await store.confirm(work, [])
  }
  return shown
}

async function newestVersion(): Promise<bigint> {
  const harness = await connected()
  const versions = (await harness.rows('by_store')).map(({ version }) => version)
  await harness.close()
  return versions.sort((a, b) => (a < b ? -1 : 1)).at(-1)!
}

/** Keeps file owners, because the server runs under its own user. */
const copyFolder = (from: string, to: string) => execFileSync('cp', ['-a', from, to])

/** Kills the server; a standby with the state of the copy takes over its address, on a new timeline. */
async function promoteCopy(copy: string): Promise<void> {
  await server.kill()
  const cluster = join(server.dataDir, 'cluster')
  rmSync(cluster, { recursive: true })
  copyFolder(copy, cluster)
  writeFileSync(join(cluster, 'standby.signal'), '')
  await server.start()
  const client = await connected()
  await client.query('SELECT pg_promote(true)')
  await client.close()
}

it('notices a failover that lost commits, and projects all rows again', async () => {
  const cluster = join(server.dataDir, 'cluster')
  const copy = join(server.dataDir, 'standby')
  const harness = await connected()
  const { store, claim } = await ready(harness)
  const first = commitOf(claim, { aggregates: [byStore([T0, 'kept', 100])] })
  await store.commit(first)
  expect(await projectAll(store)).toEqual(new Set(['kept']))
  await harness.query('CHECKPOINT')
  await server.kill()
  copyFolder(cluster, copy)
  await server.start()

  const { nextOffset } = first.partitions[0]!
  await retried(() => store.inspect([0]))
  const second = commitOf({ ...claim, nextOffset }, { aggregates: [byStore([T0, 'lost', 200])] })
  await retried(() => store.commit(second))
  await store.advance()
  expect(await projectAll(store), 'a restart is not a failover').toEqual(new Set(['lost']))
  const shown = await newestVersion()

  await promoteCopy(copy)
  const [row] = await retried(() => store.inspect([0]))
  expect(row, 'the commit was lost').toMatchObject({ nextOffset, epoch: claim.epoch, token: claim.token })
  await store.advance()
  expect(await newestVersion(), 'a sink would keep a higher version').toBeGreaterThan(shown)
  expect(await projectAll(store)).toEqual(new Set(['kept']))
  await store.advance()
  expect(await store.pending(), 'rows are projected again only once').toBe(0)
  await harness.close()
}, 60_000)
