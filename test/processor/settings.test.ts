import { expect, it } from 'vitest'
import { UsageError } from '#pipeline/user-error.ts'
import { readSettings } from '#processor/settings.ts'

const FILE = ['--file', 'pipeline.yaml']

it('runs a worker without a command', () => {
  expect(readSettings(FILE, { WORKER_ID: 'w' })).toMatchObject({
    command: 'work',
    file: 'pipeline.yaml',
    workerId: 'w',
  })
})

it('lets the operator remove dead members only if MEMBERS_KEYS names its keys', () => {
  expect(readSettings(FILE, { MEMBERS_PORT: '9000' }).members).toBeUndefined()
  expect(readSettings(FILE, { MEMBERS_KEYS: '' }).members).toBeUndefined()
  expect(readSettings(FILE, { MEMBERS_KEYS: '/keys' }).members).toEqual({ keysFile: '/keys', port: 8083 })
  expect(() => readSettings(FILE, { MEMBERS_KEYS: '/keys', MEMBERS_PORT: 'x' })).toThrow('MEMBERS_PORT')
})

it('serves metrics only on loopback unless HTTP_HOST is set', () => {
  expect(readSettings(FILE, {}).httpHost).toBe('127.0.0.1')
  expect(readSettings(FILE, { HTTP_HOST: '' }).httpHost).toBe('127.0.0.1')
  expect(readSettings([...FILE, 'remove'], { HTTP_HOST: '*' }).httpHost).toBe('*')
})

it('accepts the command remove before and after its options', () => {
  for (const args of [
    ['remove', ...FILE],
    [...FILE, 'remove'],
  ])
    expect(readSettings(args, { HTTP_PORT: '0' })).toMatchObject({ command: 'remove', httpPort: 0 })
})

it.each([['delete'], ['remove', 'all']])('refuses any other command, and names the valid one: %s', (...words) => {
  const refusal = () => readSettings([...words, ...FILE], {})
  expect(refusal).toThrow(UsageError)
  expect(refusal).toThrow(
    `unknown command "${words.join(' ')}". The commands are remove and sinks; to run a worker, give no command`,
  )
})

it('reports all faults together', () => {
  const refusal = () => readSettings(['delete'], { HTTP_PORT: 'x', LOG_LEVEL: 'loud' })
  for (const fault of ['unknown command "delete"', '--file', 'HTTP_PORT', 'LOG_LEVEL', '--help'])
    expect(refusal).toThrow(fault)
})

it('refuses an unknown option', () => {
  expect(() => readSettings(['remove', '--fille', 'x'], {})).toThrow(UsageError)
})
