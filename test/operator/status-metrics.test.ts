import { Registry } from 'prom-client'
import { expect, it } from 'vitest'
import type { Status } from '#operator/status/input.ts'
import { statusMetrics } from '#operator/status-metrics.ts'

function status(ready: string, reason: string, more: Partial<Status> = {}): Status {
  const condition = { status: ready as 'True', reason, observedGeneration: 1, lastTransitionTime: '', message: '' }
  return {
    observedGeneration: 1,
    conditions: [
      { type: 'Accepted', ...condition, status: 'True', reason: 'Applied' },
      { type: 'Ready', ...condition },
    ],
    workers: { replicas: 3, ready: 2, desired: 4, summary: '2/4', selector: '' },
    ...more,
  }
}

async function series(registry: Registry): Promise<string[]> {
  return (await registry.metrics()).split('\n').filter(line => line !== '' && !line.startsWith('#'))
}

it('exports readiness, workers and last scaling of each pipeline, and drops series of an earlier status', async () => {
  const registry = new Registry()
  const { onStatus } = statusMetrics(registry)
  expect(await series(registry)).toEqual([])

  onStatus('shop/sales', status('False', 'StoreUnavailable'))
  expect(await series(registry)).toEqual([
    'salespipeline_operator_ready{pipeline="shop/sales",reason="StoreUnavailable"} 0',
    'salespipeline_operator_workers{pipeline="shop/sales",state="desired"} 4',
    'salespipeline_operator_workers{pipeline="shop/sales",state="ready"} 2',
  ])

  const at = '2026-01-02T03:04:05Z'
  const lastScale = { from: 2, to: 4, at, reason: 'lag of 9000 at 100/s', inputs: {} }
  onStatus('shop/sales', status('True', 'Streaming', { autoscale: { target: 5, reason: 'lag' }, lastScale }))
  const now = await series(registry)
  expect(now).toContain('salespipeline_operator_ready{pipeline="shop/sales",reason="Streaming"} 1')
  expect(now).toContain('salespipeline_operator_workers{pipeline="shop/sales",state="target"} 5')
  expect(now).toContain(
    `salespipeline_operator_last_scale_timestamp_seconds{pipeline="shop/sales",from="2",to="4",reason="lag of 9000 at 100/s"} ${Date.parse(at) / 1000}`,
  )
  expect(now).toHaveLength(5)
})

it('removes the series of a deleted pipeline and keeps those of the others', async () => {
  const registry = new Registry()
  const { onStatus } = statusMetrics(registry)
  onStatus('shop/sales', status('True', 'Streaming'))
  onStatus('shop/other', status('True', 'Streaming'))
  onStatus('shop/sales', null)
  const left = await series(registry)
  expect(left).toHaveLength(3)
  expect(left.filter(line => !line.includes('shop/other'))).toEqual([])
})
