/** Returns every difference between the database and the oracle's expectation, including conservation. */
import type { MemoryDatabase } from '#processor/adapters/memory/database.ts'
import type { MemorySink } from '#processor/adapters/memory/sink.ts'
import type { Topic } from './log.ts'
import { AGGREGATIONS, type Expected, type Measures } from './oracle.ts'

/** `isCut`: true for keys of rows and late events whose aggregation was removed inside a record. */
export function differences(
  database: MemoryDatabase,
  topic: Topic,
  expected: Expected,
  isCut: (key: string) => boolean,
): string[] {
  const whole = (rows: Map<string, string>) => new Map([...rows].filter(([key]) => !isCut(key)))
  return [
    ...compareMaps('row', whole(rowsOf(database)), whole(expectedRows(expected))),
    ...compareMaps(
      'late',
      whole(lateOf(database)),
      whole(new Map([...expected.late].map(([key, missed]) => [key, missed.join()]))),
    ),
    ...compareMaps('dead', new Map([...database.dead].map(([key, letter]) => [key, letter.reason])), expected.dead),
    ...compareMaps(
      'raw',
      new Map([...database.raw.keys()].map(key => [key, ''])),
      new Map([...expected.raw].map(key => [key, ''])),
    ),
    ...conservation(database, topic, expected),
  ]
}

/** Returns every row of `extra` whose mark for partial windows is wrong. Rows of other aggregations have none. */
export function markDifferences(
  database: MemoryDatabase,
  isPartial: (start: number, end: number) => boolean,
): string[] {
  return [...database.tables].flatMap(([name, table]) =>
    [...table.values()]
      .filter(row => row.partial !== (name === 'extra' && isPartial(row.windowStart, row.windowEnd)))
      .map(row => `row ${name}|${row.windowStart}: partial is ${row.partial}`),
  )
}

/** Returns a difference unless the sink holds exactly the newest version of every projected row. */
export function projectionDifferences(database: MemoryDatabase, sink: MemorySink): string[] {
  const stored = [...database.tables.get('by_category')!.values()].map(row => String(row.version)).sort()
  const shown = [...sink.revisions.values()].map(revision => String(revision.version)).sort()
  return stored.join() === shown.join() ? [] : [`the sink shows versions ${shown}, the table holds ${stored}`]
}

function compareMaps(what: string, found: Map<string, string>, expected: Map<string, string>): string[] {
  const faults: string[] = []
  for (const [key, value] of expected)
    if (found.get(key) !== value) faults.push(`${what} ${key}: expected ${value}, found ${found.get(key) ?? 'nothing'}`)
  for (const key of found.keys()) if (!expected.has(key)) faults.push(`${what} ${key}: not expected`)
  return faults
}

function rowsOf(database: MemoryDatabase): Map<string, string> {
  const rows = new Map<string, string>()
  for (const [name, table] of database.tables)
    for (const { windowStart, keys, columns } of table.values())
      rows.set(`${name}|${windowStart}|${keys.join()}`, columns.join())
  return rows
}

function expectedRows(expected: Expected): Map<string, string> {
  const shown = (key: string, { lines, orders, cents, smallest, largest, totals }: Measures) => {
    if (key.startsWith('by_category')) return [lines, orders, cents, smallest, largest, totals]
    return /^(sliding|extra)/.test(key) ? [lines, orders] : [cents]
  }
  return new Map([...expected.rows].map(([key, measures]) => [key, shown(key, measures).join()]))
}

function lateOf(database: MemoryDatabase): Map<string, string> {
  return new Map(
    [...database.late.values()].map(e => [
      `${AGGREGATIONS[e.aggregation]!.name}|${e.partition}|${e.offset}`,
      e.missed.join(),
    ]),
  )
}

function conservation(database: MemoryDatabase, topic: Topic, expected: Expected): string[] {
  const faults: string[] = []
  const total = { dead: 0, duplicate: 0, accepted: 0 }
  for (const { partition, firstOffset, nextOffset, counters } of database.progress.values()) {
    const { records, skipped, dead, duplicate, accepted } = counters
    if (nextOffset! - firstOffset! !== records + skipped)
      faults.push(
        `partition ${partition}: ${nextOffset! - firstOffset!} offsets are not ${records} records and ${skipped} skipped`,
      )
    if (records !== dead + duplicate + accepted)
      faults.push(`partition ${partition}: ${records} records are not ${dead} + ${duplicate} + ${accepted}`)
    if (records !== topic.partitions[partition]!.visible.length)
      faults.push(
        `partition ${partition}: ${records} records counted, ${topic.partitions[partition]!.visible.length} are in the log`,
      )
    total.dead += dead
    total.duplicate += duplicate
    total.accepted += accepted
  }
  if (total.dead !== expected.dead.size) faults.push(`${total.dead} dead counted, ${expected.dead.size} expected`)
  if (total.duplicate !== expected.duplicates)
    faults.push(`${total.duplicate} duplicates counted, ${expected.duplicates} expected`)
  if (total.accepted !== expected.accepted)
    faults.push(`${total.accepted} accepted counted, ${expected.accepted} expected`)
  return faults
}
