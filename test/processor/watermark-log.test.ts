import { expect, it } from 'vitest'
import { checkPipeline } from '#pipeline/parse.ts'
import { logWatermark } from '#processor/watermark-log.ts'
import { documentWith } from '#test/pipeline/documents.ts'

function logged(watermark: object, kept: Parameters<typeof logWatermark>[1] = []): unknown[][] {
  const lines: unknown[][] = []
  const { spec } = checkPipeline(documentWith({ 'spec.watermark': watermark }))
  logWatermark(spec, kept, (...line) => lines.push(line))
  return lines
}

it('logs nothing at the start about settings that are safe together', () => expect(logged({})).toEqual([]))

it('logs at the start which defaults of release 0.3.0 a pipeline keeps, and that they are not safe together', () => {
  const level = 'warn'
  expect(logged({ outOfOrderness: '5s', maxFutureSkew: '5m' }, ['outOfOrderness'])).toEqual([
    [
      level,
      'setting keeps the default of release 0.3.0; to change it, write it into the document',
      { field: 'spec.watermark.outOfOrderness', valueMs: 5000 },
    ],
    [
      level,
      'settings of the watermark are not safe together',
      { problem: expect.stringMatching(/raise outOfOrderness to 10m, or lower maxFutureSkew to 2500ms$/) },
    ],
  ])
})
