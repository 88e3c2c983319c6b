import { expect, it } from 'vitest'
import { UsageError } from '#pipeline/user-error.ts'
import { readSettings } from '#processor/settings.ts'

const FILE = ['--file', 'pipeline.yaml']

it('without a command a worker runs', () => {
  expect(readSettings(FILE, { WORKER_ID: 'w' })).toMatchObject({
    command: 'work',
    file: 'pipeline.yaml',
    workerId: 'w',
  })
})

it('remove is a command, before and after its options', () => {
  for (const args of [
    ['remove', ...FILE],
    [...FILE, 'remove'],
  ])
    expect(readSettings(args, { HTTP_PORT: '0' })).toMatchObject({ command: 'remove', httpPort: 0 })
})

it.each([['delete'], ['remove', 'all']])('another command is refused, and the commands are listed: %s', (...words) => {
  const refusal = () => readSettings([...words, ...FILE], {})
  expect(refusal).toThrow(UsageError)
  expect(refusal).toThrow(`there is no command "${words.join(' ')}". The commands: remove; without one, a worker runs`)
})

it('names every fault at once', () => {
  const refusal = () => readSettings(['delete'], { HTTP_PORT: 'x', LOG_LEVEL: 'loud' })
  for (const fault of ['no command "delete"', '--file', 'HTTP_PORT', 'LOG_LEVEL', '--help'])
    expect(refusal).toThrow(fault)
})

it('an unknown option is refused', () => {
  expect(() => readSettings(['remove', '--fille', 'x'], {})).toThrow(UsageError)
})
