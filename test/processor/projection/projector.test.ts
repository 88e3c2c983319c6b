import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ProjectedRow } from '#processor/ports.ts'
import { drain, runProjector } from '#processor/projector.ts'
import { check } from '#test/support/properties.ts'
import { Random } from '#test/support/random.ts'
import { compiledFor, minuteRow, removed, unacceptable } from './fixture.ts'
import { type Outcome, projectorEnvironment, runFor } from './simulated.ts'

const compiled = compiledFor('projector')
const row = (store: string, version: bigint) => minuteRow(compiled, store, version)
const refusing = (row: ProjectedRow) => (row.document && 'surprise' in row.document ? 'surprise is unknown' : null)

describe('the projector', () => {
  it('prepares the sink, takes and writes rows, and confirms only after the sink has answered', async () => {
    const env = projectorEnvironment()
    env.outbox.commit(row('a', 1n))
    await runFor(env, 1)
    expect(env.log).toEqual(['prepare…', 'prepare answered', 'taken', 'write…', 'write answered', 'confirmed'])
    expect(env.sink.memory.revisions.size).toBe(1)
    expect(env.outbox.waiting.size).toBe(0)
  })

  it.each(['refused', 'lost'] as const)(
    'confirms nothing when the write was %s, and starts again with prepare',
    async outcome => {
      const env = projectorEnvironment()
      env.outbox.commit(row('a', 1n))
      env.sink.script.write.push(outcome)
      await runFor(env, 2)
      expect(env.sink.counts[outcome]).toBe(1)
      expect(env.log).toEqual([
        'prepare…',
        'prepare answered',
        'taken',
        'write…',
        'prepare…',
        'prepare answered',
        'taken',
        'write…',
        'write answered',
        'confirmed',
      ])
    },
  )

  it('writes nothing before the sink is prepared', async () => {
    const env = projectorEnvironment()
    env.outbox.commit(row('a', 1n))
    env.sink.script.prepare.push('refused', 'refused', 'lost')
    await runFor(env, 3)
    expect(env.log).toEqual(['prepare…', 'prepare…', 'prepare…'])
    expect(env.outbox.waiting.size).toBe(1)
    expect(env.recorded.accepted.size).toBe(0)
  })

  it('reports that the sink accepts its writes although no row waits', async () => {
    const env = projectorEnvironment()
    env.sink.script.prepare.push('refused')
    await runFor(env, 2)
    expect(env.log).toEqual(['prepare…', 'prepare…', 'prepare answered'])
    expect([...env.recorded.accepted]).toEqual(['simulated'])
  })

  it('neither prepares nor writes before the store is open', async () => {
    const env = projectorEnvironment()
    const { outbox, log } = env
    outbox.commit(row('a', 1n))
    const { owned } = outbox
    outbox.owned = null
    const before: string[][] = []
    env.clock.onSleep = () => {
      before.push([...log])
      outbox.owned = owned
    }
    await runFor(env, 2)
    expect(before[0]).toEqual([])
    expect(log).toEqual(['prepare…', 'prepare answered', 'taken', 'write…', 'write answered', 'confirmed'])
  })

  it('doubles its back-off up to a limit, and resets it after a success', async () => {
    const env = projectorEnvironment({ chance: { next: () => 0.999_999 } })
    const { sink, outbox, clock } = env
    outbox.commit(row('a', 1n))
    sink.script.write.push(...Array<Outcome>(7).fill('refused'), 'done', 'refused')
    clock.onSleep = () => {
      if (outbox.waiting.size === 0 && clock.slept.length === 8) outbox.commit(row('b', 2n))
    }
    await runFor(env, 10)
    const [first, idle, second] = [clock.slept.slice(0, 7), clock.slept[7]!, clock.slept[8]!]
    expect(first.map(Math.round)).toEqual([200, 400, 800, 1600, 3200, 5000, 5000])
    expect(idle).toBeLessThanOrEqual(250)
    expect(Math.round(second)).toBe(200)
    expect(sink.counts.refused).toBe(8)
    expect(outbox.waiting.size).toBe(0)
  })

  it('jitters its pauses', async () => {
    const env = projectorEnvironment({ chance: new Random(1) })
    env.outbox.commit(row('a', 1n))
    env.sink.script.write.push(...Array<Outcome>(20).fill('refused'))
    await runFor(env, 30)
    const { slept } = env.clock
    expect(new Set(slept).size).toBe(30)
    for (const ms of slept.slice(5, 20)) expect(ms).toBeGreaterThanOrEqual(2500)
    for (const ms of slept.slice(20)) {
      expect(ms).toBeGreaterThanOrEqual(100)
      expect(ms).toBeLessThan(250)
    }
  })

  it('raises ProjectionBehind while the sink is down, and clears it once rows are shown again', async () => {
    const env = projectorEnvironment()
    env.outbox.commit(row('a', 1n))
    env.sink.script.prepare.push('refused', 'done', 'done')
    env.sink.script.write.push('refused')
    const seen: (string | undefined)[] = []
    env.clock.onSleep = () => seen.push(env.recorded.conditions.get('ProjectionBehind'))
    await runFor(env, 3)
    expect(seen).toEqual(['the sink is down', 'the sink is down', undefined])
    expect(env.recorded.changes.filter(change => change.startsWith('ProjectionBehind'))).toEqual([
      'ProjectionBehind raised',
      'ProjectionBehind raised',
      'ProjectionBehind cleared',
    ])
  })

  it('raises StoreUnavailable instead while PostgreSQL is down, because nothing is wrong with the sink', async () => {
    const env = projectorEnvironment()
    env.outbox.failures = 2
    await runFor(env, 4)
    expect(env.recorded.changes.filter(change => /Unavailable|Behind/.test(change))).toEqual([
      'StoreUnavailable raised',
      'StoreUnavailable raised',
      'StoreUnavailable cleared',
    ])
  })

  it('shows the newest version of a row that changes between every take and confirmation', async () => {
    const env = projectorEnvironment()
    const { outbox, sink } = env
    outbox.commit(row('hot', 1n))
    let version = 1n
    sink.onWrite = () => {
      if (version < 50n) outbox.commit(row('hot', ++version))
    }
    await runFor(env, 1)
    expect(version).toBe(50n)
    expect(env.log.filter(entry => entry === 'confirmed').length).toBe(50)
    expect(sink.memory.revisions.get(row('hot', 1n).id)!.version).toBe(50n)
  })

  it('records rows that the sink rejects, raises ProjectionRejected, and shows the other rows', async () => {
    const env = projectorEnvironment({ rejects: refusing })
    const bad = unacceptable(row('bad', 7n))
    for (const committed of [row('a', 1n), bad, row('b', 1n)]) env.outbox.commit(committed)
    await runFor(env, 1)
    expect(env.outbox.faults).toEqual([{ aggregation: 0, id: bad.id, version: 7n, error: 'surprise is unknown' }])
    expect(env.outbox.waiting.size).toBe(0)
    expect(env.sink.memory.revisions.size).toBe(2)
    expect(env.recorded.conditions.get('ProjectionRejected')).toMatch(/rejected 1 rows/)
    expect(env.recorded.projected).toMatchObject([{ rows: 3, faults: 1 }])
  })

  it.each(['prepare', 'write'] as const)(
    'stops at once while the sink hangs in %s, and confirms nothing',
    async call => {
      const env = projectorEnvironment()
      env.outbox.commit(row('a', 1n))
      env.sink.script[call].push('hang')
      const running = runProjector(env.deps)
      await env.clock.after(1000)
      env.stop.abort()
      await running
      expect(env.log.at(-1)).toBe(`${call}…`)
      expect(env.outbox.waiting.size).toBe(1)
    },
  )

  it('writes rows again when PostgreSQL failed to confirm them', async () => {
    const env = projectorEnvironment()
    const { outbox, sink, log } = env
    outbox.commit(row('a', 1n))
    sink.onWrite = () => {
      if (!log.includes('write answered')) outbox.failures = 1 // the confirmation fails
    }
    await runFor(env, 2)
    expect(log.filter(entry => entry === 'write answered').length).toBe(2)
    expect(outbox.waiting.size).toBe(0)
    expect(sink.memory.revisions.size).toBe(1)
  })

  it('throws an error that is not Retryable', async () => {
    const env = projectorEnvironment()
    env.sink.prepare = () => Promise.reject(new TypeError('a bug'))
    await expect(runProjector(env.deps)).rejects.toThrow('a bug')
  })

  it('counts pending rows about once a second, even while the sink is down', async () => {
    const env = projectorEnvironment()
    env.outbox.commit(row('a', 1n))
    env.sink.script.write.push(...Array<Outcome>(6).fill('refused'))
    await runFor(env, 7)
    expect(env.recorded.pending.length).toBeGreaterThan(3)
    expect(new Set(env.recorded.pending)).toEqual(new Set([1]))
    const seconds = (env.clock.ms - 1_000_000) / 1000
    expect(env.recorded.pending.length).toBeLessThanOrEqual(seconds + 1)
  })
})

describe('drain', () => {
  it('resolves with true once no row waits', async () => {
    const env = projectorEnvironment()
    for (let i = 0; i < 20; i++) env.outbox.commit(row(`s${i}`, 1n))
    env.sink.script.write.push('refused')
    expect(await drain(env.deps, 60_000)).toBe(true)
    expect(env.outbox.waiting.size).toBe(0)
    expect(env.sink.counts.refused).toBe(1)
  })

  it('resolves with false after its time limit, whether the sink hangs or refuses', async () => {
    for (const outcome of ['hang', 'refused'] as const) {
      const env = projectorEnvironment()
      env.outbox.commit(row('a', 1n))
      env.sink.script.write.push(...Array<Outcome>(100).fill(outcome))
      expect(await drain(env.deps, 60_000)).toBe(false)
      expect(env.clock.ms).toBe(1_060_000)
      expect(env.sink.counts[outcome]).toBeGreaterThan(0)
      expect(env.outbox.waiting.size).toBe(1)
    }
  })

  it('resolves with false when the signal aborts first', async () => {
    const env = projectorEnvironment()
    env.outbox.commit(row('a', 1n))
    env.sink.script.write.push('hang')
    const draining = drain(env.deps, 60_000)
    await env.clock.after(1000)
    expect(env.sink.counts.hang).toBe(1)
    env.stop.abort()
    expect(await draining).toBe(false)
    expect(env.outbox.waiting.size).toBe(1)
  })
})

describe('the projector with random failures', () => {
  const outcome = fc.constantFrom<Outcome>('done', 'refused', 'lost')
  const change = fc.record({ store: fc.nat(4), remove: fc.boolean(), during: fc.nat(30) })

  it('brings the newest version of every row into the sink, and never confirms before the sink’s answer', async () => {
    const counts = { refused: 0, lost: 0, postgres: 0, changed: 0 }
    await check(
      fc.asyncProperty(
        fc.array(outcome, { maxLength: 12 }),
        fc.array(outcome, { maxLength: 12 }),
        fc.array(change, { minLength: 1, maxLength: 20 }),
        fc.array(fc.nat(30), { maxLength: 5 }),
        async (prepare, write, changes, postgresFails) => {
          const env = projectorEnvironment()
          const { outbox, sink, log, clock } = env
          sink.script.prepare.push(...prepare)
          sink.script.write.push(...write)
          let step = 0
          let version = 0n
          const disturb = () => {
            for (const { store, remove } of changes.filter(c => c.during === step)) {
              counts.changed++
              const changed = row(`s${store}`, ++version)
              outbox.commit(remove ? removed(changed, version) : changed)
            }
            if (postgresFails.includes(step)) {
              outbox.failures++
              counts.postgres++
            }
            step++
          }
          sink.onWrite = disturb
          clock.onSleep = () => {
            disturb()
            if (step > 40 && outbox.waiting.size === 0) env.stop.abort()
          }
          await runProjector(env.deps)

          expect(outbox.waiting.size).toBe(0)
          for (const [id, { version, document }] of outbox.table)
            expect(sink.memory.revisions.get(id)).toMatchObject({ version, document })
          log.forEach((entry, i) => {
            if (entry === 'confirmed') expect(log[i - 1]).toBe('write answered')
          })
          counts.refused += sink.counts.refused
          counts.lost += sink.counts.lost
        },
      ),
      { numRuns: 200 },
    )
    for (const [what, times] of Object.entries(counts)) expect(times, what).toBeGreaterThan(100)
  })
})
