import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import yargs from 'yargs'
import { strictly } from '#common/command-line.ts'
import { Environment } from '#common/environment.ts'
import { FileError, readTextFile, writeTextFile } from '#common/files.ts'
import { UsageError, UserError } from '#pipeline/user-error.ts'
import { ownFolder } from '../support/folder.ts'

function distance(text: string): number {
  if (Number.isNaN(Number(text))) throw new UsageError(`--far must be a number; found "${text}"`)
  return Number(text)
}

describe('strictly', () => {
  const parse = async (args: string[], work: () => Promise<void> = async () => {}) =>
    strictly(
      yargs(args)
        .command('go', 'Go', argv => argv.option('far', { coerce: distance, demandOption: true }), work)
        .demandCommand(1, 'No command given. Use go.'),
      'npm run go -- --help',
    ).parseAsync()

  it.each([
    [['go', '--far', '1', '--fast'], 'Unknown argument: fast'],
    [['go'], 'Missing required argument: far'],
    [['go', '--far', 'x'], '--far must be a number; found "x"'],
    [[], 'No command given. Use go.'],
  ])('throws a UsageError for the arguments %j', async (args, message) => {
    const refused = parse(args)
    await expect(refused).rejects.toBeInstanceOf(UsageError)
    await expect(refused).rejects.toThrow(`${message}\nSee npm run go -- --help.`)
  })

  it('passes on an error that a command throws, unchanged', async () => {
    for (const error of [new UserError('no broker'), new TypeError('a bug')])
      await expect(parse(['go', '--far', '1'], () => Promise.reject(error))).rejects.toBe(error)
  })
})

describe('Environment', () => {
  it('reads environment variables, with defaults for those that are not set', () => {
    const variables = new Environment({ NAME: 'a', PORT: '0' })
    expect(variables.text('NAME')).toBe('a')
    expect(variables.integer('PORT', 8080, 0, 10)).toBe(0)
    expect(variables.integer('OTHER_PORT', 8080, 0, 10_000)).toBe(8080)
    expect(variables.oneOf('LEVEL', ['low', 'high'], 'high')).toBe('high')
    expect(() => variables.check()).not.toThrow()
  })

  it('reports all faults of the environment variables at once', () => {
    const variables = new Environment({ PORT: 'x', LEVEL: 'loud' })
    variables.text('NAME')
    variables.integer('PORT', 8080, 0, 10)
    variables.oneOf('LEVEL', ['low', 'high'], 'high')
    expect(() => variables.check()).toThrow(
      new UsageError(
        'NAME is not set\nPORT must be a whole number from 0 to 10, not "x"\nLEVEL must be one of low, high, not "loud"',
      ),
    )
  })
})

describe('files', () => {
  it('writes a file with its missing folders, and reads it', () => {
    const file = join(ownFolder('files'), 'new/folder/a.txt')
    writeTextFile(file, 'text')
    expect(readTextFile(file)).toBe('text')
  })

  it('throws a FileError that names a file that cannot be used', () => {
    const folder = ownFolder('files')
    expect(() => readTextFile(folder)).toThrow(FileError)
    expect(() => readTextFile(folder)).toThrow(`cannot read ${folder}: EISDIR`)
    expect(() => writeTextFile(folder, '')).toThrow(`cannot write ${folder}: EISDIR`)
  })
})
