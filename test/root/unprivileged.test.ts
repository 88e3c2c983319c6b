/** Servers that refuse root run under another user, who must be able to reach their files. */
import { chmodSync, rmSync } from 'node:fs'
import { afterAll, expect, it } from 'vitest'
import { startPostgres } from '#local/services/postgres.ts'
import { temporaryFolder } from '#test/support/services.ts'

const dataDir = temporaryFolder('closed')
afterAll(() => rmSync(dataDir, { recursive: true }))

it('reports the folder that the other user may not enter', async () => {
  chmodSync(dataDir, 0o700)
  await expect(startPostgres({ dataDir })).rejects.toThrow(`user nobody, who may not enter ${dataDir}.`)
})
