import { readdirSync, readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { Journal } from '#producer/journal.ts'
import { ownFolder } from '#test/support/folder.ts'
import { readJournal } from '#verify/journal.ts'

const record = (key: string | null, value: string | null) => ({
  key: key === null ? null : Buffer.from(key),
  value: value === null ? null : Buffer.from(value),
})
const folder = () => ownFolder('journal')

it('writes each line before the call returns', () => {
  const journal = new Journal(folder())
  expect(journal.sending([record('k', 'v'), record('k', null)])).toBe(0)
  expect(journal.sending([record(null, '')])).toBe(2)
  journal.acknowledged(0, 2, 3, 41)
  const lines = readFileSync(journal.path, 'utf8')
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line))
  // printf 'k\0v' | sha256sum, printf 'k\0null' | sha256sum, printf '\0' | sha256sum
  expect(lines).toEqual([
    ['s', 0, ['4351aecae8128486', '7863ba80ab9e170e']],
    ['s', 2, ['6e340b9cffb37a98']],
    ['a', 0, 3, 41, [0, 1]],
  ])
  journal.close()
})

it('creates one file per run, named by its start and process', () => {
  const into = folder()
  new Journal(into, 1234).close()
  expect(readdirSync(into)).toEqual([`1234-${process.pid}.jsonl`])
  expect(() => new Journal(into, 1234)).toThrow('EEXIST')
})

it('writes a journal that the independent verifier reads completely', async () => {
  const into = folder()
  const journal = new Journal(into)
  const records = [record('a', '1'), record('a', '1'), record('b', null), record('c', 'é')]
  const first = journal.sending(records)
  journal.acknowledged(first, 2, 0, 10)
  journal.close()
  const read = await readJournal(into)
  records.slice(0, 2).forEach(({ key, value }, i) => {
    read.checkOff(0, 10 + i, key, value)
  })
  for (const { key, value } of records.slice(2)) read.checkOff(1, 5, key, value)
  expect(read).toMatchObject({ sent: 4, acknowledged: 2, foreign: 0 })
  expect(read.lostFromLog()).toBe(0)
  read.checkOff(1, 6, ...(Object.values(record('a', '1')) as [Buffer, Buffer]))
  expect(read.foreign).toBe(1)
})
