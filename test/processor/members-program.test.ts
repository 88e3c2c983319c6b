/** Tests that the program of a worker opens the port for the operator, on which dead members are removed. */
import { fork } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { MINIMAL } from '../pipeline/documents.ts'
import { ownFolder } from '../support/folder.ts'
import { apiServerKeys } from '../support/removal-tokens.ts'

const MAIN = resolve(import.meta.dirname, '../../processor/main.ts')
const PIPELINE = { namespace: 'default', name: 'sales' }

/** Resolves with the ports of a worker that reaches neither Kafka nor PostgreSQL. */
async function startWorker(env: Record<string, string>) {
  const file = join(ownFolder('worker'), 'pipeline.yaml')
  // Nothing listens on port 1.
  writeFileSync(file, `${MINIMAL}  sinks: { postgres: { port: 1 } }\n`)
  const child = fork(MAIN, ['--file', file], {
    env: { ...process.env, HTTP_PORT: '0', MEMBERS_PORT: '0', PGUSER: 'nobody', PGPASSWORD: 'none', ...env },
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  let errors = ''
  child.stderr!.on('data', data => (errors += data))
  return new Promise<{ port: number; membersPort: number }>((resolve, reject) => {
    child.on('message', message => resolve(message as { port: number; membersPort: number }))
    child.once('exit', code => reject(new Error(`exit code ${code}: ${errors}`)))
  })
}

it('asks for the token of the operator, on a port of its own', async () => {
  const api = await apiServerKeys(PIPELINE)
  const { port, membersPort } = await startWorker({ MEMBERS_KEYS: api.keysFile })
  const remove = async (at: number, token?: string) => {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
    return (await fetch(`http://127.0.0.1:${at}/members/w-2`, { method: 'DELETE', headers })).status
  }
  expect(await remove(membersPort)).toBe(401)
  expect(await remove(membersPort, await api.token('w-3'))).toBe(401)
  // The worker has not joined the group.
  expect(await remove(membersPort, await api.token('w-2'))).toBe(503)
  expect(await remove(port, await api.token('w-2'))).toBe(404)
}, 120_000)
