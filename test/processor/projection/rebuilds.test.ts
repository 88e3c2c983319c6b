import { describe, expect, it } from 'vitest'
import { runProjector } from '#processor/projector.ts'
import { compiledFor, minuteRow } from './fixture.ts'
import { type ProjectorEnvironment, projectorEnvironment, runFor } from './simulated.ts'

const compiled = compiledFor('rebuilds')
const row = (store: string, version: bigint) => minuteRow(compiled, store, version)

describe('the projector, when the sink loses documents', () => {
  const rows = [row('a', 1n), row('b', 1n)]
  /** Projects the rows, loses the documents, and runs until the projector has paused `times` times more. */
  async function lose(times: number, lose: (env: ProjectorEnvironment) => void) {
    const env = projectorEnvironment()
    for (const one of rows) env.outbox.commit(one)
    let slept = 0
    env.clock.onSleep = () => void (slept++ === 0 && lose(env))
    await runFor(env, times)
    return env
  }
  const minutes = (count: number) => Math.ceil((count * 60_000) / 175)

  it('writes all rows again with new versions, and prepares the sink before', async () => {
    const { log, sink, recorded, outbox } = await lose(minutes(1), ({ sink, log }) => {
      log.length = 0
      sink.memory.revisions.clear()
    })
    const { changes } = recorded
    expect(log.filter(event => !/^missing/.test(event)).slice(0, 6)).toEqual([
      'rebuild',
      'prepare…',
      'prepare answered',
      'taken',
      'write…',
      'write answered',
    ])
    expect([...sink.memory.revisions.values()].map(({ version }) => version)).toEqual([2n, 2n])
    expect(changes).toContain('ProjectionRebuilding raised')
    expect(recorded.conditions.has('ProjectionRebuilding')).toBe(false)
    expect(outbox.waiting.size).toBe(0)
    expect(log.filter(event => event === 'rebuild')).toHaveLength(1)
  })

  it('notices that one of the documents is gone', async () => {
    const { sink } = await lose(minutes(1), ({ sink }) => void sink.memory.revisions.delete(rows[1]!.id))
    expect(sink.memory.revisions.get(rows[1]!.id)).toMatchObject({ version: 2n })
  })

  it('rebuilds nothing for a row that retention removes during the comparison', async () => {
    const { log } = await lose(minutes(1), ({ sink, outbox }) => {
      const gone = rows[0]!
      sink.memory.revisions.delete(gone.id)
      const { sample } = outbox
      outbox.sample = async () => {
        const expected = await sample.call(outbox)
        outbox.table.delete(gone.id)
        return expected
      }
    })
    expect(log).not.toContain('rebuild')
  })

  it('rebuilds nothing while the sink does not answer, and continues to write', async () => {
    const { log, sink } = await lose(minutes(1), ({ sink, outbox }) => {
      sink.memory.revisions.clear()
      sink.script.missing.push(...Array(1000).fill('refused'))
      outbox.commit(row('c', 1n))
    })
    expect(log).not.toContain('rebuild')
    expect(sink.memory.revisions.size).toBe(1)
  })

  it('ends at once while a check hangs', async () => {
    const env = projectorEnvironment()
    for (const one of rows) env.outbox.commit(one)
    env.sink.script.missing.push(...Array(10).fill('hang'))
    void env.clock.after(60_000).then(() => env.stop.abort())
    await runProjector(env.deps)
    expect(env.sink.counts.hang).toBe(1)
  })

  it('leaves the check to one worker', async () => {
    const { log, sink } = await lose(minutes(2), ({ sink, outbox, log }) => {
      log.length = 0
      outbox.checks = false
      sink.memory.revisions.clear()
    })
    expect(log).toEqual([])
    expect(sink.memory.revisions.size).toBe(0)
  })

  it('does not check while more than 10,000 rows wait', async () => {
    const { log } = await lose(minutes(1), ({ sink, outbox }) => {
      sink.memory.revisions.clear()
      outbox.pending = async () => 10_001
    })
    expect(log).not.toContain('rebuild')
  })

  it('shows the progress of a rebuild that somebody else began, and prepares the sink for it', async () => {
    const messages: (string | undefined)[] = []
    const { log } = await lose(20, ({ outbox, sink, recorded, log }) => {
      log.length = 0
      outbox.checks = false
      const { pending } = outbox
      outbox.pending = async () => {
        outbox.pending = pending
        await outbox.rebuild()
        return pending.call(outbox)
      }
      sink.onWrite = () => messages.push(recorded.conditions.get('ProjectionRebuilding'))
    })
    expect(log).toContain('prepare…')
    expect(messages).toContain('writing all rows to Elasticsearch again: projected (0 of 2 rows written)')
  })
})
