/** The commands as separate processes, as local runs and clusters start them. */
import { type ChildProcess, execFile, fork } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, expect, it, onTestFinished } from 'vitest'
import { ownFolder } from '#test/support/folder.ts'
import { createTopic, kafka, unique } from '#test/support/services.ts'
import { until } from '#test/support/until.ts'
import { ecommerceText } from './pipelines.ts'
import { readBack } from './read-back.ts'

const MAIN = resolve(import.meta.dirname, '../../producer/main.ts')
const EXAMPLE = resolve(import.meta.dirname, '../../k8s/examples/ecommerce.yaml')

// Kafka starts here, so that its start does not count towards the first test's timeout.
beforeAll(kafka)

async function prepare(load: Record<string, unknown> = {}) {
  const { bootstrap } = await kafka()
  const topic = unique('producer')
  await createTopic(bootstrap, topic, 2)
  const folder = ownFolder('producer')
  const file = join(folder, 'pipeline.yaml')
  writeFileSync(file, ecommerceText(bootstrap, topic, load))
  return { bootstrap, topic, folder, file }
}

function start(...args: string[]): { child: ChildProcess; errors: () => string } {
  const child = fork(MAIN, args, { silent: true })
  let errors = ''
  child.stderr!.on('data', chunk => (errors += chunk))
  onTestFinished(() => void child.kill('SIGKILL'))
  return { child, errors: () => errors }
}

async function message<T>(child: ChildProcess, accept: (message: T) => boolean): Promise<T> {
  for (;;) {
    const [received] = (await once(child, 'message')) as [T]
    if (accept(received)) return received
  }
}

type ChildMessage = { type: string; offered: number; sent: number; acknowledged: number; url: string }

it('load sends statistics to its parent each second, accepts a new rate, and reports at SIGTERM', async () => {
  const { bootstrap, topic, folder, file } = await prepare({ rate: 50 })
  const report = join(folder, 'report.json')
  const journal = join(folder, 'journal')
  const { child, errors } = start('load', '--file', file, '--rate', '100', '--journal', journal, '--report', report)
  await message<ChildMessage>(child, ({ type, acknowledged }) => type === 'stats' && acknowledged >= 100)
  child.send({ type: 'rate', rate: 2000 })
  await message<ChildMessage>(child, ({ type, acknowledged }) => type === 'stats' && acknowledged >= 2000)
  const reported = message<ChildMessage>(child, ({ type }) => type === 'report')
  child.kill('SIGTERM')
  const { acknowledged, sent } = await reported
  expect(await once(child, 'exit')).toEqual([0, null])
  expect(JSON.parse(readFileSync(report, 'utf8'))).toMatchObject({ sent, acknowledged, unknown: 0 })
  expect((await readBack(bootstrap, topic)).length).toBe(acknowledged)
  expect(readdirSync(journal).length).toBe(1)
  expect(errors()).toMatch(/acknowledged \d+\/s/)
})

it('load exits after --for, and when its parent exits', async () => {
  const { bootstrap, topic, folder, file } = await prepare()
  const bounded = start(
    'load',
    '--file',
    file,
    '--rate',
    '500',
    '--for',
    '2s',
    '--duplicates',
    '0',
    '--report',
    join(folder, 'report.json'),
  )
  expect(await once(bounded.child, 'exit')).toEqual([0, null])
  expect(JSON.parse(readFileSync(join(folder, 'report.json'), 'utf8'))).toMatchObject({
    offered: 1000,
    acknowledged: 1000,
  })
  const orphan = start('load', '--file', file)
  await message<ChildMessage>(orphan.child, ({ type }) => type === 'stats')
  orphan.child.disconnect()
  expect(await once(orphan.child, 'exit')).toEqual([0, null])
  expect((await readBack(bootstrap, topic)).length).toBeGreaterThan(1000)
})

const SALE = () =>
  `{"transaction_id":"a","timestamp":"${new Date().toISOString()}","category":"c","payment_method":"p","store_id":"s","amount":1.10,"quantity":1}`

it('serve sends its URL to its parent, accepts a sale, and exits at SIGTERM', async () => {
  const { bootstrap, topic, file } = await prepare()
  const { child } = start('serve', '--file', file, '--port', '0', '--log-level', 'silent')
  const { url } = await message<ChildMessage>(child, ({ type }) => type === 'serving')
  const sale = SALE()
  const response = await fetch(`${url}/${topic}`, {
    method: 'POST',
    body: sale,
    headers: { 'content-type': 'application/json' },
  })
  expect(response.status).toBe(202)
  child.kill('SIGTERM')
  expect(await once(child, 'exit')).toEqual([0, null])
  expect((await readBack(bootstrap, topic)).map(({ value }) => value!.toString())).toEqual([sale])
})

it('serve accepts only tokens of its file, follows a rotation without a restart, and logs no token', async () => {
  const { bootstrap, topic, folder, file } = await prepare()
  const [old, renewed] = await Promise.all([newToken(), newToken()])
  const tokens = join(folder, 'tokens')
  writeFileSync(tokens, old.line)
  const { child, errors } = start('serve', '--file', file, '--port', '0', '--tokens', tokens, '--log-level', 'debug')
  let log = ''
  child.stdout!.on('data', chunk => (log += chunk))
  const { url } = await message<ChildMessage>(child, ({ type }) => type === 'serving')
  const statusWith = async (token: string) => {
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${token}` }
    return (await fetch(`${url}/${topic}`, { method: 'POST', body: SALE(), headers })).status
  }
  expect([await statusWith(old.token), await statusWith(renewed.token)]).toEqual([202, 401])
  writeFileSync(tokens, `${old.line}\n${renewed.line}\n`)
  await until('the renewed token is valid', async () => (await statusWith(renewed.token)) === 202)
  writeFileSync(tokens, renewed.line)
  await until('the old token is not valid', async () => (await statusWith(old.token)) === 401)
  expect(await statusWith(renewed.token)).toBe(202)
  child.kill('SIGTERM')
  expect(await once(child, 'exit')).toEqual([0, null])
  expect(log).toMatch(/"hashes":2,"clients":1,"msg":"reloaded tokens"/)
  for (const { token } of [old, renewed]) expect(log + errors()).not.toContain(token)
  expect((await readBack(bootstrap, topic)).length).toBeGreaterThanOrEqual(3)
})

/** Runs `producer token`. */
async function newToken() {
  const { stdout } = await run('token', '--client', 'shop-app')
  const [, token, line] = /\n(sp1_\S+)\n[\s\S]+\n(shop-app:[\da-f]{64})\n$/.exec(stdout)!
  return { token: token!, line: line! }
}

const run = (...args: string[]) =>
  promisify(execFile)(process.execPath, [MAIN, ...args]).catch(
    error => error as { stdout: string; stderr: string; code: number },
  )

it('shows examples in --help', async () => {
  expect((await run('--help')).stdout).toMatch(/serve[\s\S]+load[\s\S]+SECRET_<NAME>_<KEY>/)
  expect((await run('load', '--help')).stdout).toMatch(/Examples:[\s\S]+--rate 500 --for 1m/)
})

it.each([
  [['load'], /Missing required argument: file/],
  [['load', '--file', EXAMPLE, '--ratee', '5'], /Unknown argument: ratee/],
  [['load', '--file', EXAMPLE, '--for', 'ever'], /--for must be a duration such as 500ms, 30s, 5m or 1h, not "ever"/],
  [
    ['load', '--file', EXAMPLE, '--rate', '-1', '--malformed', '2', '--profile', 'x'],
    /spec.load.rate[\s\S]+spec.load.profile[\s\S]+spec.load.malformed/,
  ],
  [['load', '--file', EXAMPLE, '--count', '5', '--rate', '0'], /the rate is 0, but --count needs a rate above 0/],
  [['serve', '--file', 'nowhere.yaml'], /nowhere.yaml/],
  [['serve', '--file', EXAMPLE, '--tokens', 'no/tokens'], /cannot read no\/tokens \(ENOENT/],
  [['token', '--client', 'my shop'], /--client must be at most 63 letters/],
  [[], /No command given\. Use serve, token, load or check/],
])('refuses %j with the reason', async (args, reason) => {
  const { code, stderr } = (await run(...args)) as { code: number; stderr: string }
  expect(code).toBe(1)
  expect(stderr).toMatch(reason)
  expect(stderr).not.toMatch(/\n\s+at /)
})
