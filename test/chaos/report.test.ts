import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { renderChart } from '#chaos/chart.ts'
import { type Outcome, type Report, renderReport } from '#chaos/report.ts'
import { jobOf, notVerifiable, readVerdict } from '#chaos/verdict.ts'
import { HOSTILE, UNSAFE } from '#test/support/hostile.ts'
import { fault, report } from './sample.ts'

const SPEC = parse(`
source: { topic: transactions }
sinks:
  postgres:
    usernameSecretRef: { name: postgres, key: username }
    passwordSecretRef: { name: postgres, key: password }
  elasticsearch:
    nodes: ["https://elasticsearch-es-http:9200"]
    usernameSecretRef: { name: elasticsearch, key: username }
    passwordSecretRef: { name: elasticsearch, key: password }
    tls: { caSecretRef: { name: elasticsearch-es-http-certs-public, key: ca.crt } }
`)
const document = (changes: object = {}) => ({ metadata: { name: 'shop' }, spec: { ...SPEC, ...changes } })
const job = (drained: boolean, pipeline = document()) => {
  const { spec } = jobOf(pipeline, { image: 'verify:1', drained, withinMs: 60_000 }).spec.template
  return { ...spec.containers[0], volumes: spec.volumes }
}

describe('the table', () => {
  const lines = (results: Report) => renderReport(results).split('\n')

  it('writes a table row for the time before the first fault and one for each fault', () => {
    const rows = lines(report()).filter(line => line.startsWith('|'))
    expect(rows).toHaveLength(2 + 1 + report().faults.length)
    expect(new Set(rows.map(row => row.split('|').length)).size).toBe(1)
    expect(renderReport(report())).toContain(
      'so only rows were compared; use --stop-load to compare the Elasticsearch documents',
    )
    expect(renderReport({ ...report(), drained: true })).not.toContain('only rows were compared')
    expect(rows[3]).toBe('| worker | pod worker-1 | 4.0 | 0.5 | 2.5 | 900 | 0.05 | 2.10 | ≤ 5 | – |')
  })

  it('shows a delay beyond the last bound as at least that bound', () => {
    const beyond = { p50: 0.05, p99: Infinity, max: Infinity, samples: 9 }
    const slow: Outcome = { ...fault('worker', 10_000), delay: beyond, projection: { ...beyond, p50: Infinity } }
    const row = lines({ ...report(), faults: [slow] }).find(line => line.startsWith('| worker |'))
    expect(row).toMatch(/\| 0\.05 \| ≥ 60 \| > 60 \| ≥ 60 \|$/)
    expect(renderReport({ ...report(), faults: [{ ...slow, delay: { ...beyond, p50: Infinity } }] })).toContain(
      '| ≥ 60 | ≥ 60 | > 60 |',
    )
  })

  it('escapes control characters of messages that it quotes', () => {
    const failed: Outcome = { ...fault('node', 10_000), failure: `kubectl: ${HOSTILE}` }
    const problem = `no verdict: ${HOSTILE}`
    const text = renderReport({ ...report(), ok: false, faults: [failed], verdict: null, problem })
    expect(text.match(/\\u001b\[2J/g)).toHaveLength(2)
    expect(text.replaceAll('\n', '')).not.toMatch(UNSAFE)
  })

  it('shows why a run failed, and what must be cleaned up', () => {
    const failed: Outcome = { ...fault('node', 10_000), recoveredMs: null, failure: 'did not recover: waited for x' }
    const text = renderReport({
      ...report(),
      ok: false,
      faults: [failed],
      verdict: null,
      problem: 'not verified',
    })
    expect(text).toContain('**FAILED**')
    expect(text).toContain('| node | pod node-1 | never |')
    expect(text).toContain('- round 1, node: did not recover: waited for x')
    expect(text).toContain('- not verified')
    expect(text).toContain('- to clean up: node-2 is down')
  })
})

describe('the chart', () => {
  it('draws delays beyond the last bound at that bound', () => {
    const slow = report()
    for (const [i, tick] of slow.ticks.entries())
      tick.delay = slow.bounds.map(bound => (bound === Infinity ? 9 * i : 0))
    expect(renderChart(slow)).not.toMatch(/NaN|Infinity/)
  })

  it('draws the chart as valid SVG that marks each fault and interrupts its lines at unknown values', () => {
    const svg = renderChart(report())
    // There is no XML parser here, so opening and closing tags are counted.
    expect(svg.match(/<(svg|title|text)\b/g)!.length).toBe(svg.match(/<\/(svg|title|text)>/g)!.length)
    for (const { kind } of report().faults) expect(svg).toContain(`>${kind}</text>`)
    expect(svg).not.toMatch(/NaN|Infinity|undefined/)
    const [lag] = svg.match(/<path d="M[^"]*L[^"]*" fill="none"/)!
    expect(lag.match(/M/g)!.length).toBe(2)
    expect(renderChart({ ...report(), pipeline: '<b>&' })).toContain('Chaos on &#60;b&#62;&#38;')
  })

  it('draws a chart for a run without measurements', () => {
    expect(renderChart({ ...report(), ticks: [], faults: [] })).not.toMatch(/NaN|Infinity|undefined/)
  })
})

describe('the verifier’s Job', () => {
  const refers = (name: string, key: string) => ({ valueFrom: { secretKeyRef: { name, key } } })

  it('verifies rows while the pipeline runs', () => {
    const { args, env, volumes } = job(false)
    expect(args).toEqual(['/config/processor.yaml', '--json', '--running'])
    expect(env).toEqual([
      { name: 'SECRET_POSTGRES_USERNAME', ...refers('postgres', 'username') },
      { name: 'SECRET_POSTGRES_PASSWORD', ...refers('postgres', 'password') },
    ])
    expect(volumes).toEqual([{ name: 'config', configMap: { name: 'shop-config' } }])
  })

  it('verifies documents as well once the pipeline is drained', () => {
    const { args, env } = job(true)
    expect(args.slice(2)).toEqual(['--elasticsearch', 'https://elasticsearch-es-http:9200'])
    expect(env).toContainEqual({ name: 'SECRET_ELASTICSEARCH_PASSWORD', ...refers('elasticsearch', 'password') })
  })

  it('gets every Secret with which the workers connect', () => {
    const tls = { clientCertSecretRef: { name: 'user', certificate: 'user.crt', key: 'user.key' } }
    const sasl = { mechanism: 'OAUTHBEARER', oauth: { clientSecretRef: { name: 'client', key: 'secret' } } }
    const { env } = job(false, document({ source: { topic: 't', tls, sasl } }))
    expect(env.slice(0, 3)).toEqual([
      { name: 'SECRET_USER_USER_CRT', ...refers('user', 'user.crt') },
      { name: 'SECRET_USER_USER_KEY', ...refers('user', 'user.key') },
      { name: 'SECRET_CLIENT_SECRET', ...refers('client', 'secret') },
    ])
  })

  it('rejects the verifier’s Job if Kafka expects a token of the pipeline’s ServiceAccount', () => {
    expect(notVerifiable(document({ source: { topic: 't', tls: {} } }))).toBeNull()
    const sasl = { mechanism: 'OAUTHBEARER', serviceAccountToken: { audience: 'kafka' } }
    expect(notVerifiable(document({ source: { topic: 't', sasl } }))).toContain('serviceAccountToken')
  })

  it('reads the verdict of the verifier’s Job from its log after the progress lines', () => {
    expect(readVerdict('100000 records read\n{\n  "ok": true,\n  "rows": {\n  }\n}\n')).toEqual({ ok: true, rows: {} })
    expect(() => readVerdict('cannot compare the tables with the topic: Error: no topic')).toThrow(
      'cannot compare the tables with the topic: Error: no topic',
    )
  })
})
