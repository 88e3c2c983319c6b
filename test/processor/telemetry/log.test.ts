import { expect, it } from 'vitest'
import { redact } from '#common/redact.ts'
import { telemetryForTest } from './fixture.ts'

it('writes level, time, pipeline, worker, message and fields in a log line', () => {
  const { telemetry, lines } = telemetryForTest()
  telemetry.log('info', 'claimed', { partition: 3, epoch: 12n })
  expect(lines).toHaveLength(1)
  expect(lines[0]).toMatchObject({ level: 'info', pipeline: 'default/sales', worker: 'worker-1', msg: 'claimed' })
  expect(lines[0]).toMatchObject({ partition: 3, epoch: '12' })
  expect(Number.isNaN(Date.parse(lines[0]!.time as string))).toBe(false)
})

it('writes no lines below the log level', () => {
  const { telemetry, lines } = telemetryForTest({ logLevel: 'warn' })
  telemetry.log('info', 'quiet')
  telemetry.log('error', 'loud')
  expect(lines.map(line => line.msg)).toEqual(['loud'])
})

it('redacts secrets in log lines: by name at any depth, inside errors and in URLs', () => {
  const { telemetry, lines } = telemetryForTest()
  const cause = Object.assign(new Error('at postgres://app:hunter2@db:5432/sales'), { PGPASSWORD: 'hunter2' })
  telemetry.log('error', 'cannot reach http://elastic:hunter2@search:9200', {
    password: 'hunter2',
    config: { sasl: { username: 'app', clientSecret: 'hunter2' }, list: [{ accessToken: 'hunter2' }] },
    err: new Error('no answer', { cause }),
  })
  expect(JSON.stringify(lines)).not.toContain('hunter2')
  expect(lines[0]!.msg).toBe('cannot reach http://[redacted]@search:9200')
  expect(lines[0]).toMatchObject({
    password: '[redacted]',
    config: { sasl: { username: 'app', clientSecret: '[redacted]' } },
    err: { name: 'Error', message: 'no answer', cause: { message: 'at postgres://[redacted]@db:5432/sales' } },
  })
})

it('cuts off an object that contains itself', () => {
  const loop: Record<string, unknown> = { name: 'loop' }
  loop.self = loop
  expect(JSON.stringify(redact(loop))).toContain('[…]')
})
