/** Tests that a process notices a changed Secret, in folders that are updated as the kubelet does. */
import { spawn } from 'node:child_process'
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, expect, it } from 'vitest'
import { secretWatch } from '#common/secret-watch.ts'
import { temporaryFolder } from '../support/services.ts'

const VARIABLE = 'SECRET_PG_PASSWORD'
const OLD = { [VARIABLE]: 'old' }
let folder: string
let versions = 0
let now = 0

/** Writes a new version of all files and replaces the symbolic link, as the kubelet does. */
function mount(secrets: Record<string, string>): void {
  const version = `..${++versions}`
  mkdirSync(join(folder, version))
  for (const [name, value] of Object.entries(secrets)) writeFileSync(join(folder, version, name), value)
  symlinkSync(version, join(folder, '..new'))
  renameSync(join(folder, '..new'), join(folder, '..data'))
  for (const name of Object.keys(secrets)) {
    rmSync(join(folder, name), { force: true })
    symlinkSync(join('..data', name), join(folder, name))
  }
}
const watch = (env: Record<string, string>) => secretWatch(env, folder, () => now)

beforeEach(() => {
  folder = temporaryFolder('secrets')
  now = 0
})

it('reports a new value, and nothing while the content stays the same', () => {
  mount(OLD)
  const changed = watch(OLD)
  expect(changed()).toEqual([])
  mount(OLD)
  expect(changed()).toEqual([])
  mount({ [VARIABLE]: 'new' })
  expect(changed()).toEqual([VARIABLE])
})

it('ignores files that are older than the environment, until they stay different for five minutes', () => {
  mount(OLD)
  const changed = watch({ [VARIABLE]: 'new' })
  expect(changed()).toEqual([])
  mount({ [VARIABLE]: 'new' })
  expect(changed()).toEqual([])
  mount(OLD)
  const stuck = watch({ [VARIABLE]: 'new' })
  now = 300_001
  expect(stuck()).toEqual([VARIABLE])
})

it('reports a key that is added for a variable that was empty, and nothing when the Secret is deleted', () => {
  const changed = watch({})
  expect(changed()).toEqual([])
  mount(OLD)
  expect(changed()).toEqual([VARIABLE])
  const other = watch(OLD)
  rmSync(folder, { recursive: true })
  expect(other()).toEqual([])
})

it('ends the process as SIGTERM does, and names the variable without its value', async () => {
  mount(OLD)
  const module = join(import.meta.dirname, '../../common/secret-watch.ts')
  const program = `
    import { restartOnSecretChange } from '${module}'
    process.once('SIGTERM', () => process.exit(0))
    setInterval(() => {}, 1000)
    restartOnSecretChange(process.env, (message, fields) => console.log(message, JSON.stringify(fields)))
    console.log('ready')`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    env: { ...process.env, ...OLD, SECRETS_DIR: folder },
  })
  let output = ''
  child.stdout.on('data', chunk => {
    output += chunk
    if (String(chunk).includes('ready')) mount({ [VARIABLE]: 'new-value' })
  })
  expect(await new Promise(resolve => child.once('exit', resolve))).toBe(0)
  expect(output).toContain(`secret changed; exiting to restart {"variables":["${VARIABLE}"]}`)
  expect(output).not.toContain('new-value')
})
