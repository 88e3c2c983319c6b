import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readJournal, recordHash } from '#verify/journal.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'journal-'))
})
afterEach(() => rm(folder, { recursive: true }))

const KEY = Buffer.from('k')
const values = ['a', 'b', 'c'].map(text => Buffer.from(text))
const hashes = values.map(value => recordHash(KEY, value))

async function journal(...lines: unknown[]) {
  await writeFile(join(folder, '1-1.jsonl'), lines.map(line => `${JSON.stringify(line)}\n`).join(''))
  return readJournal(folder)
}

it('hashes key, a 0 byte and value', () => {
  // printf 'k\0a' | sha256sum
  expect(recordHash(KEY, values[0]!)).toBe('44c338b548249880')
  expect(recordHash(KEY, null)).toBe(recordHash(KEY, Buffer.from('null')))
})

describe('against the log', () => {
  it('accepts announced records, acknowledged or not', async () => {
    const read = await journal(['s', 10, hashes], ['a', 10, 3, 7, [0, 2]])
    read.checkOff(3, 7, KEY, values[0]!)
    read.checkOff(3, 8, KEY, values[2]!)
    expect([read.sent, read.acknowledged, read.lostFromLog(), read.foreign]).toEqual([3, 2, 0, 0])
  })

  it('reports an acknowledged record that is missing from the log', async () => {
    const read = await journal(['s', 0, hashes], ['a', 0, 0, 5, [0, 1, 2]])
    read.checkOff(0, 5, KEY, values[0]!)
    read.checkOff(0, 6, KEY, values[2]!)
    expect(read.lostFromLog()).toBe(2)
    expect(read.examples[0]).toBe(
      `lost: Kafka acknowledged record ${hashes[1]} at partition/offset 0/6, but the topic does not have this record at that offset. Check retention and unclean leader election`,
    )
  })

  it('reports a record that was never announced, and a second copy of one that was announced once', async () => {
    const read = await journal(['s', 0, [hashes[0]]])
    read.checkOff(0, 0, KEY, values[0]!)
    read.checkOff(0, 1, KEY, values[0]!)
    read.checkOff(1, 0, KEY, Buffer.from('stranger'))
    expect(read.foreign).toBe(2)
    expect(read.examples[0]).toContain('foreign record at partition/offset 0/1')
  })

  it('accepts a record as often as it was announced', async () => {
    const read = await journal(['s', 0, [hashes[0], hashes[0]]])
    read.checkOff(0, 0, KEY, values[0]!)
    read.checkOff(0, 1, KEY, values[0]!)
    expect(read.foreign).toBe(0)
  })
})

it('skips a journal line that a kill cut off', async () => {
  await writeFile(join(folder, '1-1.jsonl'), `${JSON.stringify(['s', 0, hashes])}\n["a",0,0,`)
  expect(await readJournal(folder)).toMatchObject({ sent: 3, acknowledged: 0 })
})

it('rejects a folder without journals', async () => {
  await expect(readJournal(folder)).rejects.toThrow('no journal')
})
