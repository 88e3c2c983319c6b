import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import yargs from 'yargs'
import { strictly } from '#common/command-line.ts'
import { Environment } from '#common/environment.ts'
import { FileError, readTextFile, writeTextFile } from '#common/files.ts'
import { UsageError, UserError } from '#pipeline/user-error.ts'
import { ownFolder } from '../support/folder.ts'

describe('strictly', () => {
  const parse = async (args: string[], work: () => Promise<void> = async () => {}) =>
    strictly(
      yargs(args)
        .command('go', 'Go', argv => argv.option('far', { type: 'number', demandOption: true }), work)
        .demandCommand(1, 'Name a command: go.'),
      'npm run go -- --help',
    ).parseAsync()

  it.each([
    [['go', '--far', '1', '--fast'], 'Unknown argument: fast'],
    [['go'], 'Missing required argument: far'],
    [[], 'Name a command: go.'],
  ])('throws a UsageError for %j', async (args, message) => {
    const refused = parse(args)
    await expect(refused).rejects.toBeInstanceOf(UsageError)
    await expect(refused).rejects.toThrow(`${message}\nSee npm run go -- --help.`)
  })

  it('throws what a command throws, as it is', async () => {
    for (const error of [new UserError('no broker'), new TypeError('a bug')])
      await expect(parse(['go', '--far', '1'], () => Promise.reject(error))).rejects.toBe(error)
  })
})

describe('Environment', () => {
  it('reads what is set, and defaults for the rest', () => {
    const variables = new Environment({ NAME: 'a', PORT: '0' })
    expect(variables.text('NAME')).toBe('a')
    expect(variables.integer('PORT', 8080, 0, 10)).toBe(0)
    expect(variables.integer('OTHER_PORT', 8080, 0, 10_000)).toBe(8080)
    expect(variables.oneOf('LEVEL', ['low', 'high'], 'high')).toBe('high')
    expect(() => variables.check()).not.toThrow()
  })

  it('reports all faults at once', () => {
    const variables = new Environment({ PORT: 'x', LEVEL: 'loud' })
    variables.text('NAME')
    variables.integer('PORT', 8080, 0, 10)
    variables.oneOf('LEVEL', ['low', 'high'], 'high')
    expect(() => variables.check()).toThrow(
      new UsageError(
        'NAME is needed\nPORT must be a whole number from 0 to 10, not "x"\nLEVEL must be one of low, high, not "loud"',
      ),
    )
  })
})

describe('files', () => {
  it('are written with their folders, and read', () => {
    const file = join(ownFolder('files'), 'new/folder/a.txt')
    writeTextFile(file, 'text')
    expect(readTextFile(file)).toBe('text')
  })

  it('that cannot be used are named in a FileError', () => {
    const folder = ownFolder('files')
    expect(() => readTextFile(folder)).toThrow(FileError)
    expect(() => readTextFile(folder)).toThrow(`cannot read ${folder}: EISDIR`)
    expect(() => writeTextFile(folder, '')).toThrow(`cannot write ${folder}: EISDIR`)
  })
})
