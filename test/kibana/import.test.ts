/**
 * Runs kibana/import.mjs as a process against a server that implements Kibana's import API as documented (stand-in.ts).
 * Kibana itself is not available to tests, so they do not prove that a real Kibana accepts the file.
 */
import { execFile, execFileSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { PASSWORD, refusal, type Script, type StandIn, startStandIn, USER } from './stand-in.ts'

const SOURCE = resolve(import.meta.dirname, '../../kibana')
const OBJECTS = readFileSync(join(SOURCE, 'saved-objects.ndjson'), 'utf8')
const NAMES = ['index-pattern sales-pipeline-transactions', 'dashboard sales-pipeline-sales']
const ACCOUNT = { KIBANA_USER: USER, KIBANA_PASSWORD: PASSWORD }

let folder: string
let kibana: StandIn

beforeEach(() => {
  // As a ConfigMap mounts them: the script and its file in one folder, and nothing else.
  folder = mkdtempSync(join(tmpdir(), 'kibana-'))
  for (const name of ['import.mjs', 'saved-objects.ndjson']) copyFileSync(join(SOURCE, name), join(folder, name))
})
afterEach(async () => {
  await kibana?.stop()
  rmSync(folder, { recursive: true })
})

describe('kibana/import.mjs', () => {
  it('imports everything, and overwrites an earlier import', async () => {
    kibana = await startStandIn()
    for (const _ of [1, 2]) expect(await run()).toEqual({ code: 0, out: 'imported 2 saved objects\n', err: '' })
    expect([...kibana.imported.keys()]).toEqual(NAMES)
    expect([...kibana.imported.values()].map(object => JSON.stringify(object)).join('\n')).toBe(OBJECTS.trim())
    expect(kibana.requests).toEqual(
      [1, 2].flatMap(() => ['GET /api/status 200', 'POST /api/saved_objects/_import?overwrite=true 200']),
    )
  })

  it('waits while Kibana starts, and logs the reason', async () => {
    const migrating = { status: 503, body: { status: { overall: { level: 'critical' } } } }
    const notReady = [{ status: 503, body: 'Kibana server is not ready yet' }, migrating]
    const loading = { status: 200, body: { status: { overall: { level: 'unavailable' } } } }
    kibana = await startStandIn({ statusResponses: [...notReady, loading] })
    const { code, out } = await run()
    expect(code).toBe(0)
    expect(out.match(/^Kibana is not ready \(HTTP 503\); retrying for \d+ s$/gm)).toHaveLength(2)
    expect(out).toContain('Kibana is not ready (status unavailable)')
    expect([...kibana.imported.keys()]).toEqual(NAMES)
  })

  it('repeats the import when Kibana fails during it', async () => {
    kibana = await startStandIn({ importResponses: [refusal(503, 'Service Unavailable', 'License is not available.')] })
    expect(await run()).toMatchObject({ code: 0, err: '' })
    expect([...kibana.imported.keys()]).toEqual(NAMES)
    expect(kibana.requests.filter(line => line.startsWith('POST'))).toHaveLength(2)
  })

  it('gives up after KIBANA_PATIENCE_S with the last reason', async () => {
    kibana = await startStandIn()
    await kibana.stop()
    const { code, err } = await run({ KIBANA_PATIENCE_S: '1' })
    expect({ code, err }).toEqual({
      code: 1,
      err: 'import failed: Kibana was not ready within 1 s: ECONNREFUSED\n',
    })
  })

  it('exits at once when the password is wrong, and prints no password', async () => {
    kibana = await startStandIn()
    const { code, out, err } = await run({ KIBANA_PASSWORD: 'not-this-one' })
    expect(code).toBe(1)
    expect(err).toMatch(/HTTP 401: wrong KIBANA_USER or KIBANA_PASSWORD/)
    expect(out + err).not.toContain('not-this-one')
    expect(kibana.requests).toEqual(['GET /api/status 401'])
  })

  it('reports each object that was not imported, with its error', async () => {
    const [, dashboard] = OBJECTS.split('\n')
    writeFileSync(join(folder, 'saved-objects.ndjson'), `${dashboard}\n`)
    kibana = await startStandIn()
    const { code, err } = await run()
    expect(code).toBe(1)
    expect(err).toContain('dashboard sales-pipeline-sales (Sales): missing_references: index-pattern sales-pipeline')
    expect(kibana.imported.size).toBe(0)
  })

  it('fails on every response that is not a complete success', async () => {
    const error = { type: 'unknown', message: 'mapping is strict', statusCode: 400 }
    const errors = [{ type: 'dashboard', id: 'sales', meta: { title: 'Sales' }, error }]
    for (const [response, message] of [
      [
        { status: 200, body: { success: false, successCount: 1, errors } },
        /dashboard sales \(Sales\): unknown: mapping/,
      ],
      [{ status: 200, body: { success: true, successCount: 1 } }, /imported 1 of 2 objects/],
      [{ status: 200, body: 'a page of a proxy' }, /imported none of 2 objects/],
      [
        refusal(400, 'Bad Request', 'belongs to a more recent version of Kibana'),
        /returned HTTP 400: belongs to a more/,
      ],
      [{ status: 302, body: '' }, /returned HTTP 302: empty response/],
    ] as const) {
      await kibana?.stop()
      kibana = await startStandIn({ importResponses: [response] })
      const { code, err } = await run()
      expect({ code, err }).toEqual({ code: 1, err: expect.stringMatching(message) })
    }
  })

  it('reports each wrong environment variable, and prints no secret', async () => {
    for (const [env, message] of [
      [{ KIBANA_PASSWORD: '', KIBANA_USER: '' }, /not set in the environment: KIBANA_USER, KIBANA_PASSWORD/],
      [{ KIBANA_URL: 'kibana' }, /KIBANA_URL is not a URL/],
      [{ KIBANA_URL: 'https://elastic:hidden-word@localhost' }, /KIBANA_URL contains credentials/],
      [{ KIBANA_PATIENCE_S: 'ten' }, /KIBANA_PATIENCE_S is not a number of seconds: ten/],
    ] as const) {
      const { code, out, err } = await run({ KIBANA_URL: 'http://localhost:1', ...env })
      expect({ code, err }).toEqual({ code: 1, err: expect.stringMatching(message) })
      expect(out + err).not.toMatch(/hidden-word|7f3c/)
    }
  })

  it('trusts a self-signed certificate only when NODE_EXTRA_CA_CERTS names it', async () => {
    const ca = join(folder, 'ca.crt')
    kibana = await startStandIn({ tls: certificate(ca) })
    expect(await run({ NODE_EXTRA_CA_CERTS: ca })).toMatchObject({ code: 0, err: '' })
    const { code, err } = await run({ KIBANA_PATIENCE_S: '0' })
    expect({ code, err }).toEqual({ code: 1, err: expect.stringMatching(/DEPTH_ZERO_SELF_SIGNED_CERT/) })
  })
})

function certificate(file: string): Script['tls'] & object {
  const key = join(folder, 'tls.key')
  const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const subject = ['-days', '1', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost']
  execFileSync('openssl', [...request, ...subject, '-keyout', key, '-out', file], { stdio: 'ignore' })
  return { key: readFileSync(key, 'utf8'), cert: readFileSync(file, 'utf8') }
}

function run(env: Record<string, string> = {}): Promise<{ code: number; out: string; err: string }> {
  const all = { KIBANA_URL: kibana?.url ?? '', ...ACCOUNT, ...env }
  return new Promise(done =>
    execFile(process.execPath, [join(folder, 'import.mjs')], { env: all }, (error, out, err) =>
      done({ code: error ? Number(error.code) : 0, out, err }),
    ),
  )
}
