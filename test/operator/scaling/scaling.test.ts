/** Tests the scaling decision on simulated load, compared with the usual scaler, and on single inputs. */
import { describe, expect, it } from 'vitest'
import { UNKNOWN } from '#operator/observe/figures.ts'
import { Autoscaler } from '#operator/scaling/autoscaler.ts'
import { decide, EMPTY_MEMORY, type ScaleInput, type ScaleMemory, workersFor } from '#operator/scaling/decide.ts'
import { checkPipeline } from '#pipeline/parse.ts'
import { documentWith } from '../../pipeline/documents.ts'
import { PATTERNS, SETTINGS } from './patterns.ts'
import { lagDivided, type Outcome, ours, simulate } from './simulation.ts'

const run = (name: string) => {
  const pattern = PATTERNS.find(p => p.name === name)!
  const reasons: string[] = []
  const outcome = simulate(pattern, ours(SETTINGS, reasons))
  return { ...outcome, reasons, usual: simulate(pattern, lagDivided(SETTINGS, pattern.partitions)) }
}

describe('the scaling decision under simulated load', () => {
  it.each<[string, { changes: number; late: number; last?: number }]>([
    ['steady', { changes: 1, late: 0, last: 3 }],
    ['ramp', { changes: 6, late: 0 }],
    ['spike', { changes: 4, late: 30, last: 2 }],
    // Twelve teeth of ten minutes: each takes at most two steps up and one down.
    ['sawtooth', { changes: 36, late: 0 }],
    ['noise around a step', { changes: 1, late: 0 }],
    ['a backlog at the start', { changes: 4, late: 150, last: 1 }],
    ['a backlog that retention deletes', { changes: 2, late: 120, last: 2 }],
    ['no figures for ten minutes', { changes: 1, late: 0, last: 3 }],
    ['nights', { changes: 36, late: 0 }],
  ])('scales rarely and keeps up under %s', (name, bounds) => {
    const { changes, lateSeconds, targets, finalLag, reasons } = run(name)
    expect(changes, reasons.join('\n')).toBeLessThanOrEqual(bounds.changes)
    expect(lateSeconds).toBeLessThanOrEqual(bounds.late)
    expect(finalLag).toBeLessThan(1000)
    if (bounds.last !== undefined) expect(targets.at(-1)).toBe(bounds.last)
  })

  it('removes workers that did not help with one hot partition, and retries with growing pauses', () => {
    const { changes, reasons, workerHours, usual } = run('one hot partition')
    expect(changes).toBeLessThanOrEqual(6)
    expect(reasons.filter(reason => reason.includes('more workers did not help:')).length).toBeGreaterThanOrEqual(2)
    expect(workerHours).toBeLessThan(usual.workerHours * 0.6)
  })

  it('never scales up and down again within the cool-down', () => {
    for (const { name } of PATTERNS) {
      const { reasons } = run(name)
      const at = reasons.map(reason => Number(reason.split(' ')[0]))
      for (let i = 1; i < at.length; i++) expect(at[i]! - at[i - 1]!).toBeGreaterThanOrEqual(60)
    }
  })

  it('scales less often and uses fewer worker-hours than lag divided by a threshold, at the same lateness', () => {
    const all = PATTERNS.filter(({ name }) => name !== 'one hot partition').map(({ name }) => run(name))
    const sum = (of: (outcome: Outcome) => number, outcomes: Outcome[]) =>
      outcomes.reduce((total, o) => total + of(o), 0)
    const usual = all.map(outcome => outcome.usual)
    expect(sum(o => o.changes, all)).toBeLessThan(sum(o => o.changes, usual) / 3)
    expect(sum(o => o.workerHours, all)).toBeLessThan(sum(o => o.workerHours, usual))
    expect(sum(o => o.lateSeconds, all) - sum(o => o.lateSeconds, usual)).toBeLessThan(60)
  })
})

describe('the scaling decision', () => {
  const input = (more: Partial<ScaleInput>): ScaleInput => ({
    now: 1_000_000,
    partitions: 12,
    current: 4,
    measured: 4,
    backlog: 0,
    arrivalRate: 2000,
    trueRate: 1000,
    busy: 0.5,
    doneRate: 2000,
    settings: SETTINGS,
    ...more,
  })

  it('keeps the number of workers while a rate is unknown', () => {
    for (const unknown of ['backlog', 'arrivalRate', 'trueRate'] as const)
      expect(decide(input({ [unknown]: null, current: 9 }), EMPTY_MEMORY)).toMatchObject({
        target: 9,
        reason: expect.stringContaining('have not reported their lag'),
      })
  })

  it('keeps the number of workers within the bounds of the spec', () => {
    expect(decide(input({ current: 20 }), EMPTY_MEMORY).target).toBe(12)
    expect(decide(input({ current: 0, backlog: null }), EMPTY_MEMORY).target).toBe(1)
    const settings = { ...SETTINGS, max: 5 }
    let memory: ScaleMemory = EMPTY_MEMORY
    for (let i = 0; i < 5; i++)
      ({ memory } = decide(input({ now: i * 5000, current: 5, backlog: 1e9, settings }), memory))
    expect(decide(input({ now: 30_000, current: 5, backlog: 1e9, settings }), memory).target).toBe(5)
  })

  it('reverts a scale-up only when all workers are measured and there is a backlog', () => {
    const lastChange = { at: 900_000, from: 2, to: 4, doneRate: 1000, backlog: 100_000 }
    const reasonFor = (more: Partial<ScaleInput>) =>
      decide(input({ backlog: 900_000, doneRate: 1000, ...more }), { ...EMPTY_MEMORY, lastChange }).reason
    expect(reasonFor({})).toContain(
      'more workers did not help: 2 workers processed 1000 records/s, 4 workers process 1000 records/s',
    )
    const unclear = [{ measured: 3, doneRate: 10 }, { backlog: 50_000 }, { doneRate: 1500 }, { now: 9_000_000 }]
    for (const more of unclear) expect(reasonFor(more)).not.toContain('did not help')
    const small = { ...lastChange, backlog: 0 }
    expect(decide(input({ backlog: 200, doneRate: 900 }), { ...EMPTY_MEMORY, lastChange: small }).reason).toContain(
      'enough',
    )
  })

  it('chooses only numbers of workers that relieve the fullest worker', () => {
    expect([900, 1000, 2500, 3900, 4100, 7000, 99_000].map(rate => workersFor(rate, 1000, 12))).toEqual([
      1, 1, 3, 4, 6, 12, 12,
    ])
    expect([5000].map(rate => workersFor(rate, 1000, 7))).toEqual([7])
  })

  it('removes no worker before the stabilization time has passed, also after a restart', () => {
    let memory: ScaleMemory = EMPTY_MEMORY
    const targets = new Set<number>()
    const at = (ms: number) => {
      const decision = decide(input({ now: ms, arrivalRate: 500 }), memory)
      memory = decision.memory
      return decision.target
    }
    for (let ms = 0; ms < SETTINGS.stabilization * 0.9; ms += 5000) targets.add(at(ms))
    expect([...targets]).toEqual([4])
    expect(at(SETTINGS.stabilization)).toBe(1)
  })

  it('lowers the true rate only by saturated workers, because idle ones show mostly fixed costs', () => {
    const known = { ...EMPTY_MEMORY, trueRate: 1000 }
    const rateAfter = (more: Partial<ScaleInput>) => decide(input({ trueRate: 100, ...more }), known).memory.trueRate
    expect(rateAfter({ busy: 0.8 })).toBe(1000)
    expect(rateAfter({ busy: 0.95 })).toBe(730)
    expect(rateAfter({ busy: 0.5, backlog: 1e6 })).toBe(730)
    expect(rateAfter({ busy: 0.5, trueRate: 2000 })).toBe(1300)
  })

  it('adds workers only after two measurements show the need', () => {
    const once = decide(input({ current: 2, arrivalRate: 4000 }), EMPTY_MEMORY)
    expect(once.target).toBe(2)
    expect(decide(input({ now: 1_005_000, current: 2, arrivalRate: 4000 }), once.memory).target).toBe(6)
  })
})

describe('the autoscaler', () => {
  const figures = {
    ...UNKNOWN,
    partitions: 8,
    measured: 2,
    lag: 0,
    backlog: 0,
    arrivalRate: 4000,
    busy: 0.5,
    trueRate: 1000,
    doneRate: 2000,
  }
  const specOf = (mode: string, more: object = {}) =>
    checkPipeline(documentWith({ 'spec.workers': { replicas: 2, autoscale: { mode, max: 12, ...more } } })).spec
  const decideAndAccept = (autoscaler: Autoscaler, ...args: Parameters<Autoscaler['decide']>) => {
    const decision = autoscaler.decide(...args)
    autoscaler.accept(args[0], decision)
    return decision
  }
  const twice = (autoscaler: Autoscaler, mode: string, running = 2) =>
    [0, 5000].map(now => decideAndAccept(autoscaler, 'shop/a', specOf(mode), { ...figures }, running, now, {}))[1]!

  it('scales in mode active, and keeps its decision while the caches do not show it yet', () => {
    const autoscaler = new Autoscaler()
    expect(autoscaler.desiredWorkers('shop/a', specOf('active'), undefined)).toBe(2)
    expect(twice(autoscaler, 'active')).toMatchObject({
      workers: 8,
      change: { from: 2, to: 8, inputs: { arrivalRate: '4000', lag: '0' } },
    })
    expect(autoscaler.desiredWorkers('shop/a', specOf('active'), 2)).toBe(8)
    const next = decideAndAccept(autoscaler, 'shop/a', specOf('active'), { ...figures }, 2, 6000, {})
    expect(next.scaling.autoscale!.target).toBe(8)
    expect(next).toMatchObject({ workers: 8, change: null })
    expect(autoscaler.desiredWorkers('shop/a', specOf('active'), 2)).toBe(8)
  })

  it('repeats a decision until it is accepted', () => {
    const autoscaler = new Autoscaler()
    const first = decideAndAccept(autoscaler, 'shop/a', specOf('active'), { ...figures }, 2, 0, {})
    expect(first).toMatchObject({ workers: 2, change: null })
    const newFigures = { ...figures }
    const decideAgain = () => autoscaler.decide('shop/a', specOf('active'), newFigures, 2, 5000, {})
    expect(decideAgain()).toMatchObject({ workers: 8, change: { from: 2, to: 8 } })
    expect(autoscaler.desiredWorkers('shop/a', specOf('active'), 2)).toBe(2)
    expect(decideAgain().change).toMatchObject({ from: 2, to: 8 })
    autoscaler.accept('shop/a', decideAgain())
    expect(autoscaler.desiredWorkers('shop/a', specOf('active'), 2)).toBe(8)
    expect(decideAgain()).toMatchObject({ workers: 8, change: null })
  })

  it('reports its last change until the next one, even if the status was not written meanwhile', () => {
    const autoscaler = new Autoscaler()
    const { lastScale } = twice(autoscaler, 'active').scaling
    const later = decideAndAccept(autoscaler, 'shop/a', specOf('active'), { ...figures }, 8, 9000, {})
    expect(later.scaling.lastScale).toEqual(lastScale)
  })

  it('does not add workers for records behind an open transaction, but for the same number of readable records', () => {
    const steady = { ...figures, arrivalRate: 1000, lag: 5_000_000 }
    const targetFor = (backlog: number) => {
      const autoscaler = new Autoscaler()
      const decideAt = (now: number) =>
        decideAndAccept(autoscaler, 'shop/a', specOf('active'), { ...steady, backlog }, 2, now, {})
      return [0, 5000, 10_000].map(decideAt).at(-1)!.workers
    }
    expect(targetFor(0)).toBe(2)
    expect(targetFor(5_000_000)).toBe(8)
  })

  it('counts the same figures only once', () => {
    const autoscaler = new Autoscaler()
    const changes = [0, 100, 5000].map(
      now => decideAndAccept(autoscaler, 'shop/a', specOf('active'), figures, 2, now, {}).change,
    )
    expect(changes).toEqual([null, null, null])
    expect(decideAndAccept(autoscaler, 'shop/a', specOf('active', { min: 3 }), figures, 2, 6000, {}).change?.to).toBe(3)
  })

  it('starts after a restart from the running workers, and continues the cool-down', () => {
    const autoscaler = new Autoscaler()
    expect(autoscaler.desiredWorkers('shop/a', specOf('active'), 4)).toBe(4)
    const lastScale = { from: 2, to: 4, at: '2026-01-01T00:00:00Z', reason: '', inputs: {} }
    const before = { autoscale: { target: 2, reason: '' }, lastScale }
    const now = Date.parse(lastScale.at) + 20_000
    const { scaling } = decideAndAccept(autoscaler, 'shop/a', specOf('active'), figures, 4, now, before)
    expect(scaling.autoscale!.reason).toContain('cooling down')
  })

  it('only reports a target in mode observe, and does not jump to it when it is activated', () => {
    const autoscaler = new Autoscaler()
    expect(twice(autoscaler, 'observe').scaling).toMatchObject({ autoscale: { target: 8 } })
    expect(twice(autoscaler, 'observe').change).toBeNull()
    expect(autoscaler.desiredWorkers('shop/a', specOf('observe'), 2)).toBe(2)
    expect(autoscaler.desiredWorkers('shop/a', specOf('active'), 2)).toBe(2)
  })

  it('reports nothing in mode off', () =>
    expect(twice(new Autoscaler(), 'off')).toEqual({ workers: 2, scaling: {}, change: null, next: null }))
})
