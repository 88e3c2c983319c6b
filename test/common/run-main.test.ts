/** Runs commands as processes and checks their error output and exit codes. */
import { spawn } from 'node:child_process'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '../..')
const HEAD = `
  import { runMain } from '${root}/common/run-main.ts'
  import { FileError, readTextFile } from '${root}/common/files.ts'
  import { parsePipeline } from '${root}/pipeline/parse.ts'
  import { UsageError, UserError } from '${root}/pipeline/user-error.ts'
`

/** Runs `body` as a program. `closeStdout`: the reader closes the pipe at once. */
async function run(body: string, { closeStdout = false } = {}) {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', HEAD + body], { cwd: root })
  let [stdout, stderr] = ['', '']
  if (closeStdout) child.stdout.destroy()
  else child.stdout.on('data', data => (stdout += data))
  child.stderr.on('data', data => (stderr += data))
  const code = await new Promise(done => child.once('close', done))
  return { code, stdout, stderr }
}

describe('runMain', { timeout: 60_000 }, () => {
  it('exits with the code that the command resolves with, even if a timer would keep the process alive', async () => {
    const ended = await run(`
      setInterval(() => {}, 1000)
      await runMain(async () => { process.stdout.write('x'.repeat(1e6)); return 3 })`)
    expect({ ...ended, stdout: ended.stdout.length }).toEqual({ code: 3, stdout: 1e6, stderr: '' })
  })

  it.each([
    [
      'UserError',
      `throw new UserError('the disk is full: delete something')`,
      1,
      'the disk is full: delete something\n',
    ],
    ['UserError that quotes data', `throw new UserError('key a\\x1b[2J\\x9b\\nb')`, 1, 'key a\\u001b[2J\\u009b\nb\n'],
    ['UsageError', `throw new UsageError('no such flag')`, 2, 'no such flag\nSee --help.\n'],
    [
      'UsageError of a script',
      `throw new UsageError('no', 'npm start -- --help')`,
      2,
      'no\nSee npm start -- --help.\n',
    ],
    ['FileError', `readTextFile('nowhere.yaml')`, 2, /^cannot read nowhere\.yaml: ENOENT.*\n$/],
    ['SpecError', `parsePipeline('kind: Pod', 'my.yaml')`, 2, /^my\.yaml is not a valid SalesPipeline \(/],
  ])('prints only the message of a %s', async (_kind, statement, code, message) => {
    const ended = await run(`await runMain(async () => { ${statement} })`)
    expect(ended).toEqual({
      code,
      stdout: '',
      stderr: typeof message === 'string' ? message : expect.stringMatching(message),
    })
    expect(ended.stderr).not.toMatch(/^ +at /m)
  })

  it.each([
    ['exception', `await runMain(async () => { null.x })`],
    [
      'uncaught rejection',
      `await runMain(() => { Promise.resolve().then(() => null.x); return new Promise(() => setInterval(() => {}, 1000)) })`,
    ],
    ['exception of a callback', `await runMain(() => { setTimeout(() => null.x); return new Promise(() => {}) })`],
  ])('prints the stack of a bug and asks to report it: %s', async (_kind, body) => {
    const { code, stderr } = await run(body)
    expect(code).toBe(1)
    expect(stderr).toMatch(/^This is a bug in SalesPipeline: .*\nTypeError: Cannot read properties of null.*\n +at /)
  })

  it('calls beforeExit, then exits with the code that the command’s own exitCodeOf returns', async () => {
    const { code, stderr } = await run(`
      const beforeExit = async () => void process.stderr.write('last\\n')
      await runMain(async () => { throw new UserError('first') }, { exitCodeOf: () => 7, beforeExit })`)
    expect({ code, stderr }).toEqual({ code: 7, stderr: 'first\nlast\n' })
  })

  it('exits quietly with code 141 when the reader of its output is closed', async () => {
    const body = `await runMain(() => new Promise(() => setInterval(() => process.stdout.write('line\\n'), 5)))`
    expect(await run(body, { closeStdout: true })).toEqual({ code: 141, stdout: '', stderr: '' })
  })
})
