/** The decision on simulated load, beside the usual scaler; and what it does with single inputs. */
import { describe, expect, it } from 'vitest'
import { UNKNOWN } from '#operator/observe/figures.ts'
import { Autoscaler } from '#operator/scaling/autoscaler.ts'
import { decide, NOTHING_KNOWN, type ScaleInput, type ScaleMemory, workersFor } from '#operator/scaling/decide.ts'
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

describe('under simulated load', () => {
  it.each<[string, { changes: number; late: number; last?: number }]>([
    ['steady', { changes: 1, late: 0, last: 3 }],
    ['ramp', { changes: 6, late: 0 }],
    ['spike', { changes: 4, late: 30, last: 2 }],
    // Twelve teeth of ten minutes: at most up in two steps and down in one each time.
    ['sawtooth', { changes: 36, late: 0 }],
    ['noise around a step', { changes: 1, late: 0 }],
    ['a backlog at the start', { changes: 4, late: 150, last: 1 }],
    ['a backlog that retention deletes', { changes: 2, late: 120, last: 2 }],
    ['nothing known for ten minutes', { changes: 1, late: 0, last: 3 }],
    ['nights', { changes: 36, late: 0 }],
  ])('%s: few changes, little waiting', (name, most) => {
    const { changes, lateSeconds, targets, finalLag, reasons } = run(name)
    expect(changes, reasons.join('\n')).toBeLessThanOrEqual(most.changes)
    expect(lateSeconds).toBeLessThanOrEqual(most.late)
    expect(finalLag).toBeLessThan(1000)
    if (most.last !== undefined) expect(targets.at(-1)).toBe(most.last)
  })

  it('one hot partition: more workers are taken back when they do not help, and tried ever more rarely', () => {
    const { changes, reasons, workerHours, usual } = run('one hot partition')
    expect(changes).toBeLessThanOrEqual(6)
    expect(
      reasons.filter(reason => reason.includes('has one partition most of the keys?')).length,
    ).toBeGreaterThanOrEqual(2)
    expect(workerHours).toBeLessThan(usual.workerHours * 0.6)
  })

  it('does not flap: it never goes up and down again within the cool-down', () => {
    for (const { name } of PATTERNS) {
      const { reasons } = run(name)
      const at = reasons.map(reason => Number(reason.split(' ')[0]))
      for (let i = 1; i < at.length; i++) expect(at[i]! - at[i - 1]!).toBeGreaterThanOrEqual(60)
    }
  })

  it('changes less often and takes fewer worker-hours than lag divided by a threshold, at the same lateness', () => {
    const all = PATTERNS.filter(({ name }) => name !== 'one hot partition').map(({ name }) => run(name))
    const sum = (of: (outcome: Outcome) => number, outcomes: Outcome[]) =>
      outcomes.reduce((total, o) => total + of(o), 0)
    const usual = all.map(outcome => outcome.usual)
    expect(sum(o => o.changes, all)).toBeLessThan(sum(o => o.changes, usual) / 3)
    expect(sum(o => o.workerHours, all)).toBeLessThan(sum(o => o.workerHours, usual))
    expect(sum(o => o.lateSeconds, all) - sum(o => o.lateSeconds, usual)).toBeLessThan(60)
  })
})

describe('a decision', () => {
  const input = (more: Partial<ScaleInput>): ScaleInput => ({
    ...{
      now: 1_000_000,
      partitions: 12,
      current: 4,
      measured: 4,
      lag: 0,
      arrivalRate: 2000,
      trueRate: 1000,
      busy: 0.5,
      doneRate: 2000,
      settings: SETTINGS,
    },
    ...more,
  })

  it('changes nothing while anything is unknown', () => {
    for (const unknown of ['lag', 'arrivalRate', 'trueRate'] as const)
      expect(decide(input({ [unknown]: null, current: 9 }), NOTHING_KNOWN)).toMatchObject({
        target: 9,
        reason: expect.stringContaining('not known'),
      })
  })

  it('stays within its bounds, whatever else', () => {
    expect(decide(input({ current: 20 }), NOTHING_KNOWN).target).toBe(12)
    expect(decide(input({ current: 0, lag: null }), NOTHING_KNOWN).target).toBe(1)
    const settings = { ...SETTINGS, max: 5 }
    let memory: ScaleMemory = NOTHING_KNOWN
    for (let i = 0; i < 5; i++) ({ memory } = decide(input({ now: i * 5000, current: 5, lag: 1e9, settings }), memory))
    expect(decide(input({ now: 30_000, current: 5, lag: 1e9, settings }), memory).target).toBe(5)
  })

  it('takes back what did not help only where it can tell: all work, and there is work for them', () => {
    const lastChange = { at: 900_000, from: 2, to: 4, doneRate: 1000, lag: 100_000 }
    const told = (more: Partial<ScaleInput>) =>
      decide(input({ lag: 900_000, doneRate: 1000, ...more }), { ...NOTHING_KNOWN, lastChange }).reason
    expect(told({})).toContain('4 workers do 1000/s, and 2 did 1000/s')
    const untold = [{ measured: 3, doneRate: 10 }, { lag: 50_000 }, { doneRate: 1500 }, { now: 9_000_000 }]
    for (const more of untold) expect(told(more)).not.toContain('workers do')
    const small = { ...lastChange, lag: 0 }
    expect(decide(input({ lag: 200, doneRate: 900 }), { ...NOTHING_KNOWN, lastChange: small }).reason).toContain(
      'enough',
    )
  })

  it('takes only steps that relieve the fullest worker', () => {
    expect([900, 1000, 2500, 3900, 4100, 7000, 99_000].map(rate => workersFor(rate, 1000, 12))).toEqual([
      1, 1, 3, 4, 6, 12, 12,
    ])
    expect([5000].map(rate => workersFor(rate, 1000, 7))).toEqual([7])
  })

  it('takes nobody away before it has watched for as long as it must, also after a restart', () => {
    let memory: ScaleMemory = NOTHING_KNOWN
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

  it('does not take fixed costs for slowness: only those who never wait show what they can do', () => {
    const known = { ...NOTHING_KNOWN, trueRate: 1000 }
    const rateAfter = (more: Partial<ScaleInput>) => decide(input({ trueRate: 100, ...more }), known).memory.trueRate
    expect(rateAfter({ busy: 0.8 })).toBe(1000)
    expect(rateAfter({ busy: 0.95 })).toBe(730)
    expect(rateAfter({ busy: 0.5, lag: 1e6 })).toBe(730)
    expect(rateAfter({ busy: 0.5, trueRate: 2000 })).toBe(1300)
  })

  it('wants to see it twice before it adds workers', () => {
    const once = decide(input({ current: 2, arrivalRate: 4000 }), NOTHING_KNOWN)
    expect(once.target).toBe(2)
    expect(decide(input({ now: 1_005_000, current: 2, arrivalRate: 4000 }), once.memory).target).toBe(6)
  })
})

describe('the autoscaler', () => {
  const figures = {
    ...UNKNOWN,
    ...{ partitions: 8, measured: 2, lag: 0, arrivalRate: 4000, busy: 0.5, trueRate: 1000, doneRate: 2000 },
  }
  const specOf = (mode: string, more: object = {}) =>
    checkPipeline(documentWith({ 'spec.workers': { replicas: 2, autoscale: { mode, max: 12, ...more } } })).spec
  const twice = (autoscaler: Autoscaler, mode: string, running = 2) =>
    [0, 5000].map(now => autoscaler.observe('shop/a', specOf(mode), { ...figures }, running, now, {}))[1]!

  it('decides in mode active, and does not take back what the cluster does not show yet', () => {
    const autoscaler = new Autoscaler()
    expect(autoscaler.wanted('shop/a', specOf('active'), undefined)).toBe(2)
    expect(twice(autoscaler, 'active').change).toMatchObject({
      from: 2,
      to: 8,
      inputs: { arrivalRate: '4000', lag: '0' },
    })
    expect(autoscaler.wanted('shop/a', specOf('active'), 2)).toBe(8)
    const { scaling, change } = autoscaler.observe('shop/a', specOf('active'), { ...figures }, 2, 6000, {})
    expect(scaling.autoscale!.target).toBe(8)
    expect(change).toBeNull()
    expect(autoscaler.wanted('shop/a', specOf('active'), 2)).toBe(8)
  })

  it('says of its last change until there is another, whether the status could be written meanwhile or not', () => {
    const autoscaler = new Autoscaler()
    const { lastScale } = twice(autoscaler, 'active').scaling
    const later = autoscaler.observe('shop/a', specOf('active'), { ...figures }, 8, 9000, {})
    expect(later.scaling.lastScale).toEqual(lastScale)
  })

  it('does not take the same figures for two measurements', () => {
    const autoscaler = new Autoscaler()
    const changes = [0, 100, 5000].map(
      now => autoscaler.observe('shop/a', specOf('active'), figures, 2, now, {}).change,
    )
    expect(changes).toEqual([null, null, null])
    expect(autoscaler.observe('shop/a', specOf('active', { min: 3 }), figures, 2, 6000, {}).change?.to).toBe(3)
  })

  it('goes on after a restart from what runs, and with the cool-down', () => {
    const autoscaler = new Autoscaler()
    expect(autoscaler.wanted('shop/a', specOf('active'), 4)).toBe(4)
    const lastScale = { from: 2, to: 4, at: '2026-01-01T00:00:00Z', reason: '', inputs: {} }
    const before = { autoscale: { target: 2, reason: '' }, lastScale }
    const now = Date.parse(lastScale.at) + 20_000
    const { scaling } = autoscaler.observe('shop/a', specOf('active'), figures, 4, now, before)
    expect(scaling.autoscale!.reason).toContain('cooling down')
  })

  it('only thinks in mode observe, and does not jump there when it is switched on', () => {
    const autoscaler = new Autoscaler()
    expect(twice(autoscaler, 'observe').scaling).toMatchObject({ autoscale: { target: 8 } })
    expect(twice(autoscaler, 'observe').change).toBeNull()
    expect(autoscaler.wanted('shop/a', specOf('observe'), 2)).toBe(2)
    expect(autoscaler.wanted('shop/a', specOf('active'), 2)).toBe(2)
  })

  it('says nothing in mode off', () => expect(twice(new Autoscaler(), 'off')).toEqual({ scaling: {}, change: null }))
})
