import { describe, expect, it } from 'vitest'
import { compileSpec } from '#pipeline/compiled-spec.ts'
import { parsePipeline } from '#pipeline/parse.ts'
import { Committer, type CommitterDeps } from '#processor/committer.ts'
import type { Commit } from '#processor/core/commit.ts'
import { PartitionState } from '#processor/core/partition.ts'
import { Rejected } from '#processor/errors.ts'
import { OwnedPartition } from '#processor/owned-partition.ts'
import type { Store, Telemetry } from '#processor/ports.ts'
import { firstClaim } from '#test/support/claim.ts'
import { encodeBatch } from '#test/support/record-batch.ts'

const pipeline = parsePipeline(`
apiVersion: salespipeline.dev/v1alpha1
kind: SalesPipeline
metadata: { name: sales }
spec:
  source: { topic: sales }
  event: { id: id, time: { path: at, format: epoch, unit: ms }, fields: [{ name: store }] }
  aggregations: [{ name: by_store, groupBy: [store], measures: [{ name: orders, op: count }] }]
`)
const compiled = compileSpec(pipeline.spec)

/** Returns a running partition with one record that waits for a commit. */
const withOneRecord = (partition: number) => withRecords(partition, 1)

/** Returns a running partition with records that wait for a commit. Each record makes a row of its own. */
function withRecords(partition: number, count: number): OwnedPartition {
  const claim = firstClaim({ partition })
  const state = new PartitionState(claim, () => compiled)
  const records = Array.from({ length: count }, (_, delta) => {
    const value = Buffer.from(JSON.stringify({ id: `${delta}`, at: 1000, store: `${delta}` }))
    return { delta, timestamp: 1000, key: null, value }
  })
  const data = encodeBatch({ baseOffset: 0, records })
  state.begin([])
  state.feed({ data, cut: null })
  state.process()
  const owned = new OwnedPartition(partition)
  owned.state = state
  for (const phase of ['claiming', 'running'] as const) owned.enter(phase)
  return owned
}

type Handlers = Pick<CommitterDeps, 'onLost' | 'onRejected'>

function committerOf(partitions: OwnedPartition[], commit: Store['commit'], handlers?: Handlers): Committer {
  const unexpected = () => {
    throw new Error('the commit failed')
  }
  const quiet = new Proxy({}, { get: () => () => {} }) as Telemetry
  return new Committer({
    compiled,
    store: { commit } as Store,
    clock: { now: () => 0, sleep: () => Promise.resolve() },
    chance: { next: () => 0 },
    telemetry: quiet,
    partitions: () => partitions.filter(p => p.phase !== 'revoked'),
    boundDeadLetters: commit => commit,
    noteInput: () => {},
    onLost: unexpected,
    onRejected: unexpected,
    ...handlers,
    fail: error => {
      throw error
    },
    signal: new AbortController().signal,
  })
}

/** Flushes into a store that rejects every commit; returns the numbers of partitions sent, rejected and lost ones. */
async function flushRejected(partitions: OwnedPartition[], duringCommit: () => void) {
  const [sent, rejected, lost]: [number[], number[], number[]] = [[], [], []]
  const commit = async ({ partitions }: Commit) => {
    sent.push(partitions.length)
    duringCommit()
    throw new Rejected('the data violates a constraint')
  }
  const handlers: Handlers = {
    onLost: partition => {
      lost.push(partition.partition)
      partition.enter('assigned')
    },
    onRejected: partition => rejected.push(partition.partition),
  }
  await committerOf(partitions, commit, handlers).flush()
  return { sent, rejected, lost }
}

describe('the room of a partition', () => {
  it('shrinks by its records and rows, ends at 64,000 rows, and is back when they are committed', async () => {
    const [few, many] = [withRecords(0, 10), withRecords(1, 64_000)]
    const committer = committerOf([few, many], async () => {})
    expect(committer.room(few)).toMatchObject({ records: Number.POSITIVE_INFINITY, rows: 63_990 })
    expect(committer.room(many)).toBeNull()
    await committer.waitForCapacity()
    expect(committer.room(many)).toEqual({ records: Number.POSITIVE_INFINITY, rows: 64_000, recordRows: 64_000 })
  })
})

describe('a commit that the store rejects', () => {
  it('declares the record of a rejected commit dead when it is the only one', async () => {
    expect(await flushRejected([withOneRecord(0)], () => {})).toEqual({ sent: [1], rejected: [0], lost: [0] })
  })

  it('does not blame the one record that is left after the others were revoked during the commit', async () => {
    const [revoked, kept] = [withOneRecord(0), withOneRecord(1)]
    const result = await flushRejected([revoked, kept], () => revoked.enter('revoked'))
    expect(result).toEqual({ sent: [2], rejected: [], lost: [1] })
  })
})
