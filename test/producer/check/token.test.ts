/** `producer check` with an ingest that requires a token. */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { expect, it, onTestFinished } from 'vitest'
import { ownFolder } from '#test/support/folder.ts'

const MAIN = resolve(import.meta.dirname, '../../../producer/main.ts')
const EXAMPLE = resolve(import.meta.dirname, '../../../k8s/examples/ecommerce.yaml')

/** The stores of the example, which a refused check never contacts. */
const SECRETS = {
  SECRET_POSTGRES_USERNAME: 'u',
  SECRET_POSTGRES_PASSWORD: 'p',
  SECRET_ELASTICSEARCH_USERNAME: 'u',
  SECRET_ELASTICSEARCH_PASSWORD: 'p',
  SECRET_ELASTICSEARCH_ES_HTTP_CERTS_PUBLIC_CA_CRT: '',
}

/** Runs the check against an ingest that refuses every token, and returns the tokens that it received. */
async function checked(args: string[], env: Record<string, string>) {
  const received: (string | undefined)[] = []
  const server = createServer((request, response) => {
    if (request.url === '/readyz') return response.end('{"ok":true}')
    received.push(request.headers.authorization)
    return response.writeHead(401).end('{"error":"the token is not valid"}')
  }).listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const run = promisify(execFile)(process.execPath, [MAIN, 'check', '--file', EXAMPLE, '--url', url, ...args], {
    env: { ...process.env, ...SECRETS, ...env },
  })
  const { code, stderr } = await run.then(
    ({ stderr }) => ({ code: 0, stderr }),
    error => error as { code: number; stderr: string },
  )
  return { received, code, stderr }
}

it('sends the token of the environment or of a file, and names both if the ingest refuses it', async () => {
  const file = join(ownFolder('token'), 'token')
  writeFileSync(file, 'of-the-file-1\n')
  const env = { INGEST_TOKEN: 'of-the-environment-1' }
  for (const [args, sent] of [
    [[], 'Bearer of-the-environment-1'],
    [['--token-file', file], 'Bearer of-the-file-1'],
  ] as const) {
    const { received, code, stderr } = await checked([...args], env)
    expect(received).toEqual([sent])
    expect(stderr).toMatch(
      /does not accept this client: HTTP 401: the token is not valid\. Set INGEST_TOKEN or --token-file/,
    )
    expect(stderr).not.toContain(sent.slice(7))
    expect(code).toBe(1)
  }
  expect((await checked([], {})).received).toEqual([undefined])
})
