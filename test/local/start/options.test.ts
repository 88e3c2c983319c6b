import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type Options, readOptions } from '#local/start/options.ts'
import { UsageError } from '#pipeline/user-error.ts'

const read = (...args: string[]): Options => {
  const options = readOptions(args)
  if ('help' in options) throw new Error('unexpected help')
  return options
}

describe('npm start -- …', () => {
  it('runs the example until Ctrl-C without arguments', () => {
    const options = read()
    expect(options.file).toBe(resolve('k8s/examples/ecommerce.yaml'))
    expect(options).toMatchObject({ typedFile: '', forMs: undefined, sending: true, fresh: false, external: false })
  })

  it('accepts a file and every flag', () => {
    const flags =
      '--workers 3 --rate 2.5 --for 5m --report r.json --fresh --seed 7 --disorder 0.1 --lateness 0.01 ' +
      '--duplicates 0.02 --malformed 0.005 --kafka-port 19092 --postgres-port 15432 --elasticsearch-port 19200'
    expect(read('my.yaml', ...flags.split(' '))).toEqual({
      file: 'my.yaml',
      typedFile: 'my.yaml',
      workers: 3,
      forMs: 300_000,
      report: resolve('r.json'),
      fresh: true,
      external: false,
      sending: true,
      ports: { kafka: 19092, postgres: 15432, elasticsearch: 19200 },
      load: { rate: 2.5, seed: 7, disorder: 0.1, lateness: 0.01, duplicates: 0.02, malformed: 0.005 },
    })
    expect(read('--no-load', '--external')).toMatchObject({ sending: false, external: true })
  })

  it('uses the last value of a repeated flag', () => {
    expect(read('--rate', '1', '--rate', '2').load.rate).toBe(2)
  })

  it.each([
    [['--bogus'], 'bogus'],
    [['a.yaml', 'b.yaml'], 'b.yaml'],
    [['--workers'], 'workers'],
    [['--workers', 'two'], '--workers needs a number'],
    [['--workers', '0'], '--workers must be a whole number from 1 to 64, not 0'],
    [['--workers', '1.5'], '--workers must be a whole number from 1 to 64, not 1.5'],
    [['--rate', '-1'], '--rate must be a number from 0 to 1000000, not -1'],
    [['--disorder', '10'], '--disorder must be a number from 0 to 1, not 10'],
    [['--for', '60'], '--for must be a duration such as 60s or 5m, not "60"'],
    [['--report', 'r.json'], '--report needs --for'],
    [['--kafka-port', '70000'], '--kafka-port must be a whole number from 1 to 65535'],
    [['--external', '--fresh'], '--fresh cannot be combined with --external'],
    [['--external', '--kafka-port', '9092'], '--kafka-port cannot be combined with --external'],
  ])('rejects the arguments %j', (args, message) => {
    expect(() => readOptions(args)).toThrow(UsageError)
    expect(() => readOptions(args)).toThrow(message)
  })

  it('names all wrong arguments at once', () => {
    expect(() => readOptions(['--rate', 'x', '--lateness', '2', '--report', 'r'])).toThrow(
      /--rate needs a number\n--lateness must be .*\n--report needs --for/,
    )
  })

  it('shows flags, examples and exit codes with --help', () => {
    const shown = readOptions(['--help'])
    expect(shown).toHaveProperty('help')
    const { help } = shown as { help: string }
    for (const text of ['--no-load', '--for 60s --report r.json', 'Exit code: 0', 'k8s/examples/ecommerce.yaml'])
      expect(help).toContain(text)
  })
})
