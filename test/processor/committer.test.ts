import { describe, expect, it } from 'vitest'
import { compileSpec } from '#pipeline/compiled-spec.ts'
import { parsePipeline } from '#pipeline/parse.ts'
import { Committer } from '#processor/committer.ts'
import type { Commit } from '#processor/core/commit.ts'
import { PartitionState } from '#processor/core/partition.ts'
import { Rejected } from '#processor/errors.ts'
import { OwnedPartition } from '#processor/owned-partition.ts'
import type { Store, Telemetry } from '#processor/ports.ts'
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
function withOneRecord(partition: number): OwnedPartition {
  const claim = {
    partition,
    epoch: 1,
    token: 't',
    nextOffset: 0,
    restoreOffset: 0,
    restoreMaxEventTime: null,
    maxEventTime: null,
    leaderEpoch: null,
    rejectedOffsets: [],
    segments: [{ fromOffset: 0, generation: 1, specJson: JSON.stringify(pipeline) }],
  }
  const state = new PartitionState(claim, () => compiled)
  const value = Buffer.from('{"id":"1","at":1000,"store":"a"}')
  const data = encodeBatch({ baseOffset: 0, records: [{ delta: 0, timestamp: 1000, key: null, value }] })
  state.begin([])
  state.process({ data, cut: null })
  const owned = new OwnedPartition(partition)
  owned.state = state
  for (const phase of ['claiming', 'running'] as const) owned.enter(phase)
  return owned
}

/** Flushes into a store that rejects every commit; returns the numbers of partitions sent, rejected and lost ones. */
async function flushRejected(partitions: OwnedPartition[], duringCommit: () => void) {
  const [sent, rejected, lost]: [number[], number[], number[]] = [[], [], []]
  const commit = async ({ partitions }: Commit) => {
    sent.push(partitions.length)
    duringCommit()
    throw new Rejected('the data violates a constraint')
  }
  const quiet = new Proxy({}, { get: () => () => {} }) as Telemetry
  const committer = new Committer({
    compiled,
    store: { commit } as unknown as Store,
    clock: { now: () => 0, sleep: () => Promise.resolve() },
    chance: { next: () => 0 },
    telemetry: quiet,
    partitions: () => partitions.filter(p => p.phase !== 'revoked'),
    boundDeadLetters: commit => commit,
    onLost: partition => {
      lost.push(partition.partition)
      partition.enter('assigned')
    },
    noteInput: () => {},
    onRejected: partition => rejected.push(partition.partition),
    fail: error => {
      throw error
    },
    signal: new AbortController().signal,
  })
  await committer.flush()
  return { sent, rejected, lost }
}

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
