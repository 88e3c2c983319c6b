import { expect, it } from 'vitest'
import { reasonsOf } from '#local/start/workers.ts'

const EXIT = 'exited with code 1: PoolerUnsupported: the pooler is in statement mode'
const health = (...reasons: string[]) => ({ health: { live: true, ready: reasons.length === 0, reasons } })

it('shows the reasons of a worker that runs', () => {
  const first = { state: 'running', restarts: 0, exitReason: '' } as const
  expect(reasonsOf(first, health('Starting'))).toEqual(['Starting'])
  expect(reasonsOf(first, null)).toEqual(['no response'])
  expect(reasonsOf(first, health())).toEqual([])
})

it('shows why a worker exited until it is ready again', () => {
  const restarted = { restarts: 2, exitReason: EXIT }
  expect(reasonsOf({ ...restarted, state: 'restarting' }, null)).toEqual([EXIT])
  expect(reasonsOf({ ...restarted, state: 'starting' }, null)).toEqual([`before: ${EXIT}`])
  expect(reasonsOf({ ...restarted, state: 'running' }, health('Starting'))).toEqual(['Starting', `before: ${EXIT}`])
  expect(reasonsOf({ ...restarted, state: 'running' }, health())).toEqual([])
  expect(reasonsOf({ ...restarted, state: 'stopped' }, null)).toEqual([])
})
