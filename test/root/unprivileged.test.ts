/** Servers that refuse to run as root run as another user, which must be able to reach their files. */
import { chmodSync, rmSync } from 'node:fs'
import { afterAll, expect, it } from 'vitest'
import { startPostgres } from '#local/services/postgres.ts'
import { temporaryFolder } from '#test/support/services.ts'

const dataDir = temporaryFolder('closed')
afterAll(() => rmSync(dataDir, { recursive: true }))

it('names the folder that user nobody cannot enter', async () => {
  chmodSync(dataDir, 0o700)
  await expect(startPostgres({ dataDir })).rejects.toThrow(`user nobody, which cannot enter ${dataDir}.`)
})
