/** The contract of every Sink for rows, tombstones and versions; runs against memory and a real Elasticsearch. */
import { beforeEach, describe, expect, it } from 'vitest'
import type { CompiledSpec } from '#pipeline/compiled-spec.ts'
import { FIRST_EVENT_TIME, LAST_EVENT_TIME } from '#pipeline/limits.ts'
import type { ProjectedRow, Sink } from '#processor/ports.ts'
import { allTimeRow, minuteRow, OWNERSHIP, removed, unacceptable } from './fixture.ts'

export type Harness = {
  compiled: CompiledSpec
  sink: Sink
  /** Returns the document that the sink shows now, or null. */
  shown(row: ProjectedRow): Promise<ProjectedRow['document']>
}

export function projectionContract(name: string, start: () => Promise<Harness>): void {
  describe(`${name}: the contract of a sink`, () => {
    let harness: Harness
    let stores = 0
    /** Returns a row that no other test uses. */
    const fresh = (version: bigint, more?: Parameters<typeof minuteRow>[3]) =>
      minuteRow(harness.compiled, `store-${stores++}`, version, more)
    const changed = (row: ProjectedRow, version: bigint, orders: number): ProjectedRow => ({
      ...row,
      version,
      document: { ...row.document, orders },
    })
    const write = (...rows: ProjectedRow[]) => harness.sink.write(rows)
    const expectShown = async (row: ProjectedRow) => expect(await harness.shown(row)).toEqual(row.document)

    beforeEach(async () => {
      harness ??= await start()
    })

    it('shows a new row', async () => {
      const row = fresh(1_760_000_000_000_000n)
      expect(await harness.shown(row)).toBeNull()
      expect(await write(row)).toEqual([])
      await expectShown(row)
    })

    it('replaces a row with a newer version, even one that is newer by one microsecond', async () => {
      const row = fresh(1_760_000_000_000_000n)
      await write(row)
      const newer = changed(row, row.version + 1n, 3)
      expect(await write(newer)).toEqual([])
      await expectShown(newer)
    })

    it('shows windows that begin before the year 1 and end after the year 9999', async () => {
      const [windowStart, windowEnd] = [FIRST_EVENT_TIME - 60_000, LAST_EVENT_TIME + 1]
      const row = fresh(20n, { windowStart, windowEnd })
      expect(row.document).toMatchObject({ '@timestamp': windowStart, window_end: windowEnd })
      expect(await write(row)).toEqual([])
      await expectShown(row)
      const within = fresh(20n, { windowStart: FIRST_EVENT_TIME, windowEnd: LAST_EVENT_TIME })
      expect(within.document).toMatchObject({
        '@timestamp': '0001-01-01T00:00:00.000Z',
        window_end: '9999-12-31T23:59:59.999Z',
      })
      expect(await write(within)).toEqual([])
    })

    it('ignores an older version of a row and reports success', async () => {
      const row = fresh(20n)
      await write(row)
      expect(await write(changed(row, 19n, 1))).toEqual([])
      await expectShown(row)
    })

    it('ignores an equal version of a row and reports success', async () => {
      const row = fresh(20n)
      await write(row)
      expect(await write(changed(row, 20n, 99))).toEqual([])
      await expectShown(row)
    })

    it('removes a row with a tombstone', async () => {
      const row = fresh(20n)
      await write(row)
      expect(await write(removed(row, 21n))).toEqual([])
      expect(await harness.shown(row)).toBeNull()
    })

    it('brings a removed row back only with a newer version', async () => {
      const row = fresh(20n)
      await write(row)
      await write(removed(row, 22n))
      expect(await write(changed(row, 21n, 3))).toEqual([])
      expect(await harness.shown(row)).toBeNull()
      const newest = changed(row, 23n, 4)
      expect(await write(newest)).toEqual([])
      await expectShown(newest)
    })

    it('ignores a tombstone whose version is older than the row’s, or equal', async () => {
      const row = fresh(20n)
      await write(row)
      expect(await write(removed(row, 19n), removed(row, 20n))).toEqual([])
      await expectShown(row)
    })

    it('remembers the removal of a row that it never saw', async () => {
      const row = fresh(20n)
      expect(await write(removed(row, 21n))).toEqual([])
      expect(await write(row)).toEqual([])
      expect(await harness.shown(row)).toBeNull()
    })

    it('keeps amounts to the last digit', async () => {
      const revenue = '123456789012345678901234567890.12'
      const row = fresh(1n, { columns: [revenue, '9007199254740991', revenue, '1'], shown: ['-0.10'] })
      expect(await write(row)).toEqual([])
      await expectShown(row)
      expect(Object.values(row.document!)).toEqual(expect.arrayContaining([revenue, 9007199254740991, '-0.10']))
    })

    it('keeps any valid key of a row', async () => {
      const keys = [`"\\ \u2028\n𝒳${'é'.repeat(500)}`, '-123456789012345678901234567890.5', 'false']
      const row = fresh(1n, { keys })
      expect(await write(row)).toEqual([])
      await expectShown(row)
    })

    it('shows a window over all time without start and end', async () => {
      const row = allTimeRow(harness.compiled, `store-${stores++}`, 1n, '9.99')
      expect(await write(row)).toEqual([])
      await expectShown(row)
      expect(Object.keys(row.document!)).toEqual(['store', 'largest', 'final', 'updated_at', 'partial'])
    })

    it('removes a row’s document under its former id, unless that is newer', async () => {
      const written = (version: bigint): ProjectedRow => {
        const row = fresh(version)
        return { ...row, id: row.id.slice(33) }
      }
      const [same, newer] = [written(20n), written(21n)]
      await write(same, newer)
      const id = (former: ProjectedRow) => `${'0'.repeat(32)}-${former.id}`
      const renamed = [same, newer].map(row => ({ ...row, version: 20n, id: id(row), formerId: row.id }))
      expect(await write(...renamed)).toEqual([])
      for (const row of renamed) await expectShown(row)
      expect(await harness.shown(same)).toBeNull()
      await expectShown(newer)
      expect(await write(...renamed)).toEqual([])
      expect(await harness.shown(same)).toBeNull()
    })

    it('reports the one document that it rejects, and shows the others', async () => {
      const [before, after] = [fresh(1n), allTimeRow(harness.compiled, `store-${stores++}`, 1n, '1.00')]
      const bad = unacceptable(fresh(5n))
      const faults = await write(before, bad, after)
      expect(faults).toEqual([
        { aggregation: bad.aggregation, id: bad.id, version: 5n, error: expect.stringContaining('surprise') },
      ])
      expect(await harness.shown(bad)).toBeNull()
      await expectShown(before)
      await expectShown(after)
    })

    it('accepts more rows than fit into one request', async () => {
      const rows = Array.from({ length: 4500 }, () => fresh(1n))
      expect(await write(...rows)).toEqual([])
      for (const row of [rows[0]!, rows[1999]!, rows[2000]!, rows[4499]!]) await expectShown(row)
    })

    it('names the rows whose documents it does not have', async () => {
      const [there, gone, never] = [fresh(1n), fresh(1n), fresh(1n)]
      await write(there, gone)
      await write(removed(gone, 2n))
      expect(await harness.sink.missing([there, gone, never])).toEqual([gone, never])
      expect(await harness.sink.missing([])).toEqual([])
    })

    it('accepts an empty list of rows', async () => {
      expect(await write()).toEqual([])
    })

    it('keeps its rows when it is prepared again', async () => {
      const row = fresh(1n)
      await write(row)
      await harness.sink.prepare(OWNERSHIP)
      await harness.sink.prepare(OWNERSHIP)
      await expectShown(row)
    })
  })
}
