/** Tests the order, the retries and the log of a removal, with stored objects that are only simulated. */
import { expect, it } from 'vitest'
import { Fatal, Retryable } from '#processor/errors.ts'
import type { Belonging, Removed, Stored, StoredRows } from '#processor/ports.ts'
import { type RemovalDeps, removeResults } from '#processor/removal.ts'
import { telemetryForTest } from '../telemetry/fixture.ts'

/** `answers`: one per call of `remove`; the last one is repeated. */
function stored(name: string, done: string[], ...answers: (Removed | Error)[]): Stored {
  return {
    name,
    async remove() {
      const answer = answers.length > 1 ? answers.shift()! : answers[0]!
      if (answer instanceof Error) throw answer
      done.push(name)
      return answer
    },
  }
}

function setUp(rows: StoredRows, documents: Stored[]) {
  const { telemetry, lines } = telemetryForTest({ logLevel: 'info' })
  const stopping = new AbortController()
  const shown: Record<string, string>[] = []
  const clock = {
    now: () => 0,
    sleep: async () => void shown.push((await telemetry.snapshot()).conditions),
  }
  const deps: RemovalDeps = {
    rows,
    documents: () => documents,
    clock,
    chance: { next: () => 0 },
    telemetry,
    signal: stopping.signal,
  }
  const logged = () => lines.map(({ level, msg }) => `${level}: ${msg}`)
  return { deps, stopping, shown, telemetry, logged }
}

const rowsOf = (belonging: Belonging, rows: Stored): StoredRows => ({
  name: rows.name,
  find: async () => belonging,
  owner: async () => 'shop/sales/1',
  remove: () => rows.remove() as Promise<Belonging>,
})

it('removes documents first and rows last, and logs each removal', async () => {
  const done: string[] = []
  const documents = [
    stored('index a', done, 'ours'),
    stored('index b', done, 'foreign'),
    stored('template a', done, 'absent'),
    stored('index c', done, 'adopted'),
  ]
  const { deps, logged } = setUp(rowsOf('ours', stored('schema s', done, 'ours')), documents)
  expect(await removeResults(deps)).toBe(true)
  expect(done).toEqual(['index a', 'index b', 'template a', 'index c', 'schema s'])
  expect(logged()).toEqual([
    'info: removed index a',
    'warn: skipped index b: this pipeline did not create it',
    'info: template a does not exist',
    'info: removed the documents of this pipeline from index c; kept index c, which it did not create',
    'info: removed schema s',
  ])
})

it.each([
  ['foreign', 'warn: skipped schema s: this pipeline did not create it'],
  ['absent', 'info: schema s does not exist'],
] as const)('removes nothing and succeeds if the rows are %s', async (belonging, line) => {
  const done: string[] = []
  const { deps, logged } = setUp(rowsOf(belonging, stored('schema s', done, 'ours')), [stored('index a', done, 'ours')])
  expect(await removeResults(deps)).toBe(true)
  expect(done).toEqual([])
  expect(logged()).toEqual([line, 'info: nothing removed'])
})

it('retries errors that can pass or that a person can fix, and shows them as a condition until then', async () => {
  const done: string[] = []
  const refused = new Fatal('AccessDenied', 'password authentication failed')
  const documents = [stored('index a', done, new Retryable('down'), 'ours')]
  const { deps, shown, telemetry } = setUp(
    rowsOf('ours', stored('schema s', done, refused, refused, 'ours')),
    documents,
  )
  expect(await removeResults(deps)).toBe(true)
  expect(done).toEqual(['index a', 'schema s'])
  const denied = { StoreUnavailable: 'AccessDenied: password authentication failed' }
  expect(shown).toEqual([{ StoreUnavailable: 'down' }, denied, denied])
  expect((await telemetry.snapshot()).conditions).toEqual({})
})

it('stops at the signal without removing the rows', async () => {
  const done: string[] = []
  const { deps, stopping } = setUp(rowsOf('ours', stored('schema s', done, 'ours')), [
    stored('index a', done, new Retryable('down')),
  ])
  deps.clock.sleep = async () => stopping.abort()
  expect(await removeResults(deps)).toBe(false)
  expect(done).toEqual([])
})

it('stops at an unexpected error', async () => {
  const done: string[] = []
  const { deps } = setUp(rowsOf('ours', stored('schema s', done, 'ours')), [
    stored('index a', done, new TypeError('a bug')),
  ])
  await expect(removeResults(deps)).rejects.toThrow('a bug')
  expect(done).toEqual([])
})
