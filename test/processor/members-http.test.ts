/** Tests who may remove a member of a consumer group through a worker. */
import { writeFileSync } from 'node:fs'
import { describe, expect, it, onTestFinished } from 'vitest'
import { removalAudience } from '#pipeline/removal-tokens.ts'
import { startHttp } from '#processor/adapters/http.ts'
import { startMembersHttp } from '#processor/adapters/members-http.ts'
import { apiServerKeys } from '../support/removal-tokens.ts'
import { telemetryForTest } from './telemetry/fixture.ts'

const PIPELINE = { namespace: 'shop', name: 'sales' }
const DEAD = 'w-2/def'

/** Of the last worker that was started. */
let api: Awaited<ReturnType<typeof apiServerKeys>>

async function served() {
  api = await apiServerKeys(PIPELINE)
  const expelled: string[] = []
  const member = {
    describe: () => ({ member: 'w-1/abc', topicPartitions: 8 }),
    async expel(id: string) {
      if (id === 'unreachable') throw new Error('Kafka is down')
      expelled.push(id)
      return id !== 'has-left'
    },
  }
  const group = { joined: true }
  const options = { port: 0, host: '127.0.0.1', keysFile: api.keysFile, pipeline: PIPELINE }
  const server = await startMembersHttp({ ...options, member: () => (group.joined ? member : null) })
  onTestFinished(() => server.close())
  const send = async (id: string, token?: string, method = 'DELETE') => {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
    const path = `/members/${/%/.test(id) ? id : encodeURIComponent(id)}`
    const answer = await fetch(`http://127.0.0.1:${server.port}${path}`, { method, headers })
    return { status: answer.status, body: await answer.json() }
  }
  return { send, expelled, group, server }
}

describe('the removal of a dead member', () => {
  it('removes a dead member for a token of the operator for it, and reports what happened', async () => {
    const { send, expelled, group } = await served()
    expect(await send(DEAD, await api.token(DEAD))).toEqual({ status: 200, body: { removed: true } })
    expect(await send('has-left', await api.token('has-left'))).toMatchObject({ status: 404, body: { removed: false } })
    const down = await send('unreachable', await api.token('unreachable'))
    expect(down).toEqual({ status: 503, body: { error: 'Kafka is down' } })
    group.joined = false
    expect((await send(DEAD, await api.token(DEAD))).status).toBe(503)
    expect(expelled).toEqual([DEAD, 'has-left'])
  })

  it.each<[string, () => Promise<string | undefined> | undefined]>([
    ['without a token', () => undefined],
    ['with a token that is not a JWT', async () => 'abc'],
    ['with a token for another member', () => api.token('w-3/ghi')],
    ['with a token for a pipeline of another namespace', () => api.token(DEAD, audienceOf('other', 'sales'))],
    ['with a token for another pipeline of the namespace', () => api.token(DEAD, audienceOf('shop', 'other'))],
    ['with a token for the API server', () => api.token(DEAD, { audience: 'https://kubernetes.default.svc' })],
    ['with a token of another ServiceAccount', () => api.token(DEAD, { subject: accountOf('shop', 'sales-pipeline') })],
    [
      'with a token of an account of that name in another namespace',
      () => api.token(DEAD, { subject: accountOf('shop', 'salespipeline-operator') }),
    ],
    ['with a token that has expired', () => api.token(DEAD, { expiresIn: '-1m' })],
    ['with a token that another key has signed', () => api.forged(DEAD)],
    ['with a token whose key is not known', () => api.token(DEAD, { kid: 'b' })],
    ['with a token without a signature', async () => unsigned(await api.token(DEAD))],
  ])('refuses the removal of a member %s', async (_, token) => {
    const { send, expelled } = await served()
    expect(await send(DEAD, await token())).toMatchObject({ status: 401, body: { error: expect.any(String) } })
    expect(expelled).toEqual([])
  })

  it('refuses the removal of a member while the worker has no keys, and accepts it once it has some', async () => {
    const { send } = await served()
    const { keysFile, token, keys, subject } = api
    for (const text of ['', '{}', JSON.stringify({ subject, keys: [] })]) {
      writeFileSync(keysFile, text)
      expect((await send(DEAD, await token(DEAD))).status).toBe(503)
    }
    writeFileSync(keysFile, JSON.stringify({ subject, keys }))
    expect((await send(DEAD, await token(DEAD))).status).toBe(200)
  })

  it('accepts no other method for the removal of a member, and refuses an id that is not encoded', async () => {
    const { send } = await served()
    expect((await send(DEAD, undefined, 'GET')).status).toBe(405)
    expect((await send('%E0%A4%A', await api.token(DEAD))).status).toBe(400)
  })

  it('serves the removal of members only on a port of its own, not on the port with metrics and status', async () => {
    await served()
    const { telemetry } = telemetryForTest()
    const server = await startHttp({ port: 0, host: '127.0.0.1', telemetry })
    onTestFinished(() => server.close())
    const path = `http://127.0.0.1:${server.port}/members/${encodeURIComponent(DEAD)}`
    const headers = { authorization: `Bearer ${await api.token(DEAD)}` }
    expect((await fetch(path, { method: 'DELETE', headers })).status).toBe(404)
    expect((await fetch(`http://127.0.0.1:${server.port}/status`, { method: 'DELETE', headers })).status).toBe(405)
  })
})

const audienceOf = (namespace: string, name: string) => ({ audience: removalAudience({ namespace, name }, DEAD) })
const accountOf = (namespace: string, name: string) => `system:serviceaccount:${namespace}:${name}`

function unsigned(token: string): string {
  const [, payload] = token.split('.')
  return `${Buffer.from('{"alg":"none"}').toString('base64url')}.${payload}.AA`
}
