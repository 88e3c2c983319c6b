import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ProjectedRow } from '#processor/ports.ts'
import { drain, runProjector } from '#processor/projector.ts'
import { Random } from '#test/support/random.ts'
import { compiledFor, minuteRow, removed, unacceptable } from './fixture.ts'
import { type Fate, type Surroundings, surroundings } from './simulated.ts'

const compiled = compiledFor('projector')
const row = (store: string, version: bigint) => minuteRow(compiled, store, version)
const refusing = (row: ProjectedRow) => (row.document && 'surprise' in row.document ? 'surprise is unknown' : null)

/** Runs until the projector has slept `times`, which it does after each failure and where nothing waits. */
async function runFor(around: Surroundings, times: number): Promise<void> {
  const { clock, stop } = around
  const before = clock.slept.length
  const each = clock.onSleep
  clock.onSleep = ms => {
    each(ms)
    if (clock.slept.length - before >= times) stop.abort()
  }
  await runProjector(around.deps)
}

describe('the projector', () => {
  it('prepares, takes, writes, and confirms only after the sink has answered', async () => {
    const around = surroundings()
    around.outbox.commit(row('a', 1n))
    await runFor(around, 1)
    expect(around.log).toEqual(['prepare…', 'prepare answered', 'taken', 'write…', 'write answered', 'confirmed'])
    expect(around.sink.memory.revisions.size).toBe(1)
    expect(around.outbox.waiting.size).toBe(0)
  })

  it.each(['refused', 'lost'] as const)(
    'confirms nothing when the write was %s, prepares and takes again',
    async fate => {
      const around = surroundings()
      around.outbox.commit(row('a', 1n))
      around.sink.fates.write.push(fate)
      await runFor(around, 2)
      expect(around.sink.bites[fate]).toBe(1)
      expect(around.log).toEqual([
        ...['prepare…', 'prepare answered', 'taken', 'write…'],
        ...['prepare…', 'prepare answered', 'taken', 'write…', 'write answered', 'confirmed'],
      ])
    },
  )

  it('writes nothing before the sink is prepared', async () => {
    const around = surroundings()
    around.outbox.commit(row('a', 1n))
    around.sink.fates.prepare.push('refused', 'refused', 'lost')
    await runFor(around, 3)
    expect(around.log).toEqual(['prepare…', 'prepare…', 'prepare…'])
    expect(around.outbox.waiting.size).toBe(1)
  })

  it('backs off longer and longer, up to a bound, and starts anew after a success', async () => {
    const around = surroundings({ chance: { next: () => 0.999_999 } })
    const { sink, outbox, clock } = around
    outbox.commit(row('a', 1n))
    sink.fates.write.push(...Array<Fate>(7).fill('refused'), 'done', 'refused')
    clock.onSleep = () => {
      if (outbox.waiting.size === 0 && clock.slept.length === 8) outbox.commit(row('b', 2n))
    }
    await runFor(around, 10)
    const [first, idle, second] = [clock.slept.slice(0, 7), clock.slept[7]!, clock.slept[8]!]
    expect(first.map(Math.round)).toEqual([200, 400, 800, 1600, 3200, 5000, 5000])
    expect(idle).toBeLessThanOrEqual(250)
    expect(Math.round(second)).toBe(200)
    expect(sink.bites.refused).toBe(8)
    expect(outbox.waiting.size).toBe(0)
  })

  it('jitters its pauses', async () => {
    const around = surroundings({ chance: new Random(1) })
    around.outbox.commit(row('a', 1n))
    around.sink.fates.write.push(...Array<Fate>(20).fill('refused'))
    await runFor(around, 30)
    const { slept } = around.clock
    expect(new Set(slept).size).toBe(30)
    for (const ms of slept.slice(5, 20)) expect(ms).toBeGreaterThanOrEqual(2500)
    for (const ms of slept.slice(20)) {
      expect(ms).toBeGreaterThanOrEqual(100)
      expect(ms).toBeLessThan(250)
    }
  })

  it('says that it is behind while the sink is away, and takes it back once rows are shown again', async () => {
    const around = surroundings()
    around.outbox.commit(row('a', 1n))
    around.sink.fates.prepare.push('refused', 'done', 'done')
    around.sink.fates.write.push('refused')
    const seen: (string | undefined)[] = []
    around.clock.onSleep = () => seen.push(around.remembered.conditions.get('ProjectionBehind'))
    await runFor(around, 3)
    expect(seen).toEqual(['the sink is away', 'the sink is away', undefined])
    expect(around.remembered.changes.filter(change => change.startsWith('ProjectionBehind'))).toEqual([
      'ProjectionBehind raised',
      'ProjectionBehind raised',
      'ProjectionBehind cleared',
    ])
  })

  it('shows a hot row that changes between take and confirmation, with its newest version in the end', async () => {
    const around = surroundings()
    const { outbox, sink } = around
    outbox.commit(row('hot', 1n))
    let version = 1n
    sink.onWrite = () => {
      if (version < 50n) outbox.commit(row('hot', ++version))
    }
    await runFor(around, 1)
    expect(version).toBe(50n)
    expect(around.log.filter(entry => entry === 'confirmed').length).toBe(50)
    expect(sink.memory.revisions.get(row('hot', 1n).id)!.version).toBe(50n)
  })

  it('hands over what the sink will never take, and says so, and shows the rest', async () => {
    const around = surroundings({ rejects: refusing })
    const bad = unacceptable(row('bad', 7n))
    for (const each of [row('a', 1n), bad, row('b', 1n)]) around.outbox.commit(each)
    await runFor(around, 1)
    expect(around.outbox.faults).toEqual([{ aggregation: 0, id: bad.id, version: 7n, error: 'surprise is unknown' }])
    expect(around.outbox.waiting.size).toBe(0)
    expect(around.sink.memory.revisions.size).toBe(2)
    expect(around.remembered.conditions.get('ProjectionRejected')).toMatch(/rejected 1 rows/)
    expect(around.remembered.projected).toMatchObject([{ rows: 3, faults: 1 }])
  })

  it.each(['prepare', 'write'] as const)(
    'stops at once while the sink hangs in %s, and confirms nothing',
    async call => {
      const around = surroundings()
      around.outbox.commit(row('a', 1n))
      around.sink.fates[call].push('hang')
      const running = runProjector(around.deps)
      await around.clock.after(1000)
      around.stop.abort()
      await running
      expect(around.log.at(-1)).toBe(`${call}…`)
      expect(around.outbox.waiting.size).toBe(1)
    },
  )

  it('repeats what PostgreSQL refused, and the sink takes the rows twice', async () => {
    const around = surroundings()
    const { outbox, sink, log } = around
    outbox.commit(row('a', 1n))
    sink.onWrite = () => {
      if (!log.includes('write answered')) outbox.failures = 1 // of the confirmation
    }
    await runFor(around, 2)
    expect(log.filter(entry => entry === 'write answered').length).toBe(2)
    expect(outbox.waiting.size).toBe(0)
    expect(sink.memory.revisions.size).toBe(1)
  })

  it('throws what does not pass', async () => {
    const around = surroundings()
    around.sink.prepare = () => Promise.reject(new TypeError('a bug'))
    await expect(runProjector(around.deps)).rejects.toThrow('a bug')
  })

  it('counts what waits about once a second, also while the sink is away', async () => {
    const around = surroundings()
    around.outbox.commit(row('a', 1n))
    around.sink.fates.write.push(...Array<Fate>(6).fill('refused'))
    await runFor(around, 7)
    expect(around.remembered.pending.length).toBeGreaterThan(3)
    expect(new Set(around.remembered.pending)).toEqual(new Set([1]))
    const seconds = (around.clock.ms - 1_000_000) / 1000
    expect(around.remembered.pending.length).toBeLessThanOrEqual(seconds + 1)
  })
})

describe('drain', () => {
  it('answers true once nothing waits', async () => {
    const around = surroundings()
    for (let i = 0; i < 20; i++) around.outbox.commit(row(`s${i}`, 1n))
    around.sink.fates.write.push('refused')
    expect(await drain(around.deps, 60_000)).toBe(true)
    expect(around.outbox.waiting.size).toBe(0)
    expect(around.sink.bites.refused).toBe(1)
  })

  it('answers false when the time is over, whether the sink hangs or refuses', async () => {
    for (const fate of ['hang', 'refused'] as const) {
      const around = surroundings()
      around.outbox.commit(row('a', 1n))
      around.sink.fates.write.push(...Array<Fate>(100).fill(fate))
      expect(await drain(around.deps, 60_000)).toBe(false)
      expect(around.clock.ms).toBe(1_060_000)
      expect(around.sink.bites[fate]).toBeGreaterThan(0)
      expect(around.outbox.waiting.size).toBe(1)
    }
  })

  it('answers false when the signal comes first', async () => {
    const around = surroundings()
    around.outbox.commit(row('a', 1n))
    around.sink.fates.write.push('hang')
    const draining = drain(around.deps, 60_000)
    await around.clock.after(1000)
    expect(around.sink.bites.hang).toBe(1)
    around.stop.abort()
    expect(await draining).toBe(false)
    expect(around.outbox.waiting.size).toBe(1)
  })
})

describe('whatever fails', () => {
  const fate = fc.constantFrom<Fate>('done', 'refused', 'lost')
  const change = fc.record({ store: fc.nat(4), remove: fc.boolean(), during: fc.nat(30) })

  it('the sink ends up with the newest version of every row, and no confirmation came before its answer', async () => {
    const bites = { refused: 0, lost: 0, postgres: 0, changed: 0 }
    await fc.assert(
      fc.asyncProperty(
        fc.array(fate, { maxLength: 12 }),
        fc.array(fate, { maxLength: 12 }),
        fc.array(change, { minLength: 1, maxLength: 20 }),
        fc.array(fc.nat(30), { maxLength: 5 }),
        async (prepare, write, changes, postgresFails) => {
          const around = surroundings()
          const { outbox, sink, log, clock } = around
          sink.fates.prepare.push(...prepare)
          sink.fates.write.push(...write)
          let step = 0
          let version = 0n
          const happen = () => {
            for (const { store, remove } of changes.filter(c => c.during === step)) {
              bites.changed++
              const changed = row(`s${store}`, ++version)
              outbox.commit(remove ? removed(changed, version) : changed)
            }
            if (postgresFails.includes(step)) {
              outbox.failures++
              bites.postgres++
            }
            step++
          }
          sink.onWrite = happen
          clock.onSleep = () => {
            happen()
            if (step > 40 && outbox.waiting.size === 0) around.stop.abort()
          }
          await runProjector(around.deps)

          expect(outbox.waiting.size).toBe(0)
          for (const [id, { version, document }] of outbox.table)
            expect(sink.memory.revisions.get(id)).toMatchObject({ version, document })
          log.forEach((entry, i) => {
            if (entry === 'confirmed') expect(log[i - 1]).toBe('write answered')
          })
          bites.refused += sink.bites.refused
          bites.lost += sink.bites.lost
        },
      ),
      { numRuns: 200 },
    )
    for (const [what, times] of Object.entries(bites)) expect(times, what).toBeGreaterThan(100)
  })
})
