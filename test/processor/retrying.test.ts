import { expect, it } from 'vitest'
import { Retryable } from '#processor/errors.ts'
import { retrying } from '#processor/retrying.ts'

it('shows a condition while it retries, the more exact one if there is one, and clears it after success', async () => {
  const shown = new Map<string, string>()
  const history: string[] = []
  const telemetry = {
    condition(code: string, message: string | null) {
      if (message === null) shown.delete(code)
      else shown.set(code, message)
      history.push([...shown.keys()].join())
    },
    log() {},
  }
  const deps = { clock: { now: () => 0, sleep: async () => {} }, chance: { next: () => 0 }, telemetry } as never
  const faults = [
    new Retryable('no answer'),
    new Retryable('no answer'),
    new Retryable('no such topic', { condition: 'TopicMissing' }),
  ]
  const call = async () => {
    const fault = faults.shift()
    if (fault) throw fault
    return 'done'
  }
  const signal = new AbortController().signal
  expect(await retrying({ ...(deps as object), signal } as never, 'SourceUnavailable', call)).toBe('done')
  expect(history).toEqual(['SourceUnavailable', 'SourceUnavailable', '', 'TopicMissing', ''])
})
