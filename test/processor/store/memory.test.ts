import { compileSpec } from '#pipeline/compiled-spec.ts'
import { specIdentity } from '#pipeline/identity.ts'
import { MemoryDatabase, storedRow } from '#processor/adapters/memory/database.ts'
import { MemoryStore } from '#processor/adapters/memory/store.ts'
import { storeContract } from './contract.ts'
import { type Harness, pipelineOf, type Row } from './fixture.ts'

/** All workers share a clock, which only advances when a test lets time pass. */
async function fresh(): Promise<Harness> {
  const database = new MemoryDatabase()
  let now = Date.UTC(2026, 10, 1)
  let tokens = 0
  let compiled = compileSpec(pipelineOf().spec)
  const text = (bytes: Buffer | null) => bytes?.toString('latin1') ?? null
  const rowsOf = (name: string): Row[] => {
    const aggregation = compiled.aggregations.find(a => a.name === name)!
    return [...database.tables.get(name)!.values()].map(row => {
      const { columns, shown, ...stored } = storedRow(aggregation, row)
      const values = Object.fromEntries([
        ...aggregation.columns.map((column, i) => [column.name, columns[i]!]),
        ...aggregation.shown.map((column, i) => [column.name, shown[i]!]),
      ])
      return { ...stored, values, reopened: row.reopened }
    })
  }
  const inOrder = <T extends { offset: number; line?: number }>(records: Iterable<T>) =>
    [...records].sort((a, b) => a.offset - b.offset || (a.line ?? 0) - (b.line ?? 0))
  return {
    worker(pipeline = pipelineOf()) {
      compiled = compileSpec(pipeline.spec)
      return new MemoryStore({
        database,
        compiled,
        pipelineJson: JSON.stringify(pipeline),
        specIdentity: specIdentity(pipeline.spec),
        now: () => now,
        newToken: () => `token-${++tokens}`,
      })
    },
    rows: async name =>
      rowsOf(name).sort((a, b) => a.windowStart - b.windowStart || (a.keys.join() < b.keys.join() ? -1 : 1)),
    late: async () =>
      inOrder(database.late.values()).map(({ partition: _, payload, ...late }) => ({
        ...late,
        aggregation: compiled.aggregations[late.aggregation]!.name,
        payload: text(payload)!,
      })),
    dead: async () =>
      inOrder(database.dead.values()).map(
        ({ offset, reason, field, key, headers, payload, payloadBytes, payloadSha256, detail }) => ({
          offset,
          reason,
          field,
          key: text(key),
          headers,
          payload: text(payload),
          payloadBytes,
          sha256: payloadSha256,
          detail,
        }),
      ),
    raw: async () => inOrder(database.raw.values()).map(({ partition: _, ...sale }) => sale),
    async progress(partition) {
      const { firstOffset, nextOffset, counters, aggregations } = database.progress.get(partition)!
      return { firstOffset, nextOffset, counters, aggregations: Object.fromEntries(aggregations) }
    },
    projectionErrors: async () => database.projectionErrors.map(({ id, error }) => ({ id, error })),
    async elapse(ms) {
      now += ms
    },
    close: async () => {},
  }
}

storeContract('the memory store', fresh)
