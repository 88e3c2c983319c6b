import { describe, expect, it } from 'vitest'
import type { Trouble } from '#operator/observe/pods.ts'
import { blocking } from '#operator/status/ready.ts'
import { CONDITIONS, causeRank, codesWhere, INFORMATIONAL } from '#pipeline/conditions.ts'
import { Fatal, Retryable } from '#processor/errors.ts'
import type { Telemetry } from '#processor/ports.ts'
import type { retrying } from '#processor/retrying.ts'

describe('CONDITIONS', () => {
  it('gives each condition a meaning and an action, each a clause without a full stop', () => {
    expect(Object.keys(CONDITIONS).length).toBeGreaterThan(35)
    for (const [code, { meaning, action }] of Object.entries(CONDITIONS)) {
      expect(code).toMatch(/^[A-Z][a-z]+([A-Z][a-z]+)*$/)
      for (const text of [meaning, action])
        expect({ code, text }).toEqual({ code, text: expect.stringMatching(/^[^|]+[^.|]$/) })
    }
  })

  it('defines an alert for every blocking condition that is not part of normal operation', () => {
    const silent = codesWhere(({ blocking, alert }) => blocking && alert === null)
    expect(silent.filter(code => !CONDITIONS[code].expected)).toEqual([])
  })

  it('lists only four blocking conditions that are part of normal operation', () =>
    expect(new Set(codesWhere(({ blocking, expected }) => blocking && expected === true))).toEqual(
      new Set(['WorkersStarting', 'RollingOut', 'Paused', 'Deleting']),
    ))

  it('shows informing worker codes as Notice and blocking ones as the reason of Ready', () => {
    const notices = codesWhere(({ types, raisedBy }) => types.includes('Notice') && raisedBy === 'worker')
    expect(notices).toEqual(codesWhere(({ raisedBy, blocking }) => raisedBy === 'worker' && !blocking))
    expect(new Set(notices)).toEqual(INFORMATIONAL)
    const blockers = codesWhere(({ raisedBy, blocking }) => raisedBy === 'worker' && blocking)
    for (const code of blockers) expect(CONDITIONS[code].types).toContain('Ready')
  })
})

describe('the order of causes', () => {
  const blockers = codesWhere(({ blocking, types }) => blocking && types.includes('Ready'))
  const notices = codesWhere(({ types }) => types.includes('Notice'))

  it('ranks each reason that can be shown beside another one in a place of its own', () => {
    const ranks = [...new Set([...blockers, ...notices])].map(causeRank)
    expect(new Set([...ranks, causeRank('NewerThanThis')]).size).toBe(ranks.length + 1)
  })

  it.each([
    ['StoreUnavailable', 'ProjectionBehind'],
    ['AccessDenied', 'WorkerCrashLooping'],
    ['SourceUnavailable', 'ProjectionBehind'],
    ['SecretMissing', 'ContainerConfigInvalid'],
    ['PodsRefused', 'WorkersStarting'],
    ['WorkerOutOfMemory', 'WorkerCrashLooping'],
    ['WorkerOutOfMemory', 'RemovedFromGroup'],
    ['WorkerOutOfMemory', 'ProjectionBehind'],
    ['ProjectionBehind', 'ProjectionRebuilding'],
    ['TopicReplaced', 'OffsetOutOfRange'],
    ['NewerThanThis', 'ProjectionBehind'],
    ['WatermarkFarAhead', 'ManyLateEvents'],
    ['ManyDeadLetters', 'DeadLettersFull'],
  ])('puts %s before %s', (cause, effect) => expect(causeRank(cause)).toBeLessThan(causeRank(effect)))
})

it('treats an unknown code of a newer worker as blocking', () => {
  const report = { pod: 'w-1', conditions: { NewerThanThis: 'x', WeakFutureGuard: 'y' } }
  expect(blocking(report as never)).toEqual([{ reason: 'NewerThanThis', message: 'pod w-1: x' }])
})

/** Never called: tsc fails if one of the lines below compiles. */
const typos = (telemetry: Telemetry, retry: typeof retrying): unknown[] => {
  // @ts-expect-error TopicMising
  telemetry.condition('TopicMising', null)
  // @ts-expect-error workers do not raise the operator's reasons
  telemetry.condition('Streaming', null)
  // @ts-expect-error StoreUnavailble
  void retry({} as never, 'StoreUnavailble', async () => {})
  // @ts-expect-error TopicMising
  const retryable = new Retryable('x', { condition: 'TopicMising' })
  // @ts-expect-error StoreUnavailable is not fatal
  const fatal = new Fatal('StoreUnavailable', 'x')
  // @ts-expect-error SecretMising
  const trouble: Trouble = { reason: 'SecretMising', message: 'x' }
  return [retryable, fatal, trouble]
}

it('lets the compiler reject misspelled codes and reasons', () => expect(typos).toBeTypeOf('function'))
