/** The order, the patience and the words of a removal, over things that are only named. */
import { expect, it } from 'vitest'
import { Fatal, Retryable } from '#processor/errors.ts'
import type { Belonging, Stored, StoredRows } from '#processor/ports.ts'
import { type RemovalDeps, removeResults } from '#processor/removal.ts'
import { telemetryForTest } from '../telemetry/fixture.ts'

/** `answers`, one per call; the last one ever after. */
function stored(name: string, done: string[], ...answers: (Belonging | Error)[]): Stored {
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

function world(rows: StoredRows, documents: Stored[]) {
  const { telemetry, lines } = telemetryForTest({ logLevel: 'info' })
  const stopping = new AbortController()
  const shown: Record<string, string>[] = []
  const clock = {
    now: () => 0,
    sleep: async () => void shown.push((await telemetry.snapshot()).conditions),
  }
  const deps: RemovalDeps = { rows, documents, clock, chance: { next: () => 0 }, telemetry, signal: stopping.signal }
  const said = () => lines.map(({ level, msg }) => `${level}: ${msg}`)
  return { deps, stopping, shown, telemetry, said }
}

const rowsOf = (belonging: Belonging, removal: Stored): StoredRows => ({ ...removal, find: async () => belonging })

it('takes documents first and rows last, and says what it did', async () => {
  const done: string[] = []
  const documents = [
    stored('index a', done, 'ours'),
    stored('index b', done, 'foreign'),
    stored('template a', done, 'absent'),
  ]
  const { deps, said } = world(rowsOf('ours', stored('schema s', done, 'ours')), documents)
  expect(await removeResults(deps)).toBe(true)
  expect(done).toEqual(['index a', 'index b', 'template a', 'schema s'])
  expect(said()).toEqual([
    'info: removed index a',
    'warn: skipped index b: this pipeline did not create it',
    'info: template a does not exist',
    'info: removed schema s',
  ])
})

it.each([
  ['foreign', 'warn: skipped schema s: this pipeline did not create it'],
  ['absent', 'info: schema s does not exist'],
] as const)('touches nothing where the rows are %s, and has succeeded', async (belonging, words) => {
  const done: string[] = []
  const { deps, said } = world(rowsOf(belonging, stored('schema s', done, 'ours')), [stored('index a', done, 'ours')])
  expect(await removeResults(deps)).toBe(true)
  expect(done).toEqual([])
  expect(said()).toEqual([words, 'info: nothing removed'])
})

it('waits for what time or a person heals, and shows it meanwhile', async () => {
  const done: string[] = []
  const refused = new Fatal('AccessDenied', 'password authentication failed')
  const documents = [stored('index a', done, new Retryable('away'), 'ours')]
  const { deps, shown, telemetry } = world(
    rowsOf('ours', stored('schema s', done, refused, refused, 'ours')),
    documents,
  )
  expect(await removeResults(deps)).toBe(true)
  expect(done).toEqual(['index a', 'schema s'])
  const denied = { StoreUnavailable: 'AccessDenied: password authentication failed' }
  expect(shown).toEqual([{ StoreUnavailable: 'away' }, denied, denied])
  expect((await telemetry.snapshot()).conditions).toEqual({})
})

it('stops at the signal, and what is left waits for the next run', async () => {
  const done: string[] = []
  const { deps, stopping } = world(rowsOf('ours', stored('schema s', done, 'ours')), [
    stored('index a', done, new Retryable('away')),
  ])
  deps.clock.sleep = async () => stopping.abort()
  expect(await removeResults(deps)).toBe(false)
  expect(done).toEqual([])
})

it('does not go on over what nobody foresaw', async () => {
  const done: string[] = []
  const { deps } = world(rowsOf('ours', stored('schema s', done, 'ours')), [
    stored('index a', done, new TypeError('a bug')),
  ])
  await expect(removeResults(deps)).rejects.toThrow('a bug')
  expect(done).toEqual([])
})
