import { spawn, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '../..')
const bootstrap = join(root, 'local/bootstrap.mjs')
let folder: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sales-pipeline-bootstrap-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

/** Writes a script for the bootstrap to run; returns its path from the root. */
function script(name: string, code: string): string {
  const file = join(folder, `${name}.ts`)
  writeFileSync(file, code)
  return relative(root, file)
}

const runBootstrap = (args: string[], env: NodeJS.ProcessEnv) =>
  spawnSync(process.execPath, [bootstrap, ...args], { encoding: 'utf8', env })

it('names all missing prerequisites of servers, with how to install them', () => {
  const run = runBootstrap(['local/main.ts'], { PATH: folder })
  expect(run.status).toBe(1)
  expect(run.stderr).toMatch(/^ {2}Java 17 or newer: apt-get install .*, or brew install /m)
  expect(run.stderr).toMatch(/^ {2}Maven: apt-get install maven, or brew install maven$/m)
  expect(run.stderr).not.toContain('Node 20')
})

it.each([
  ['images/main.ts', ['--help'], /npm run images -- <destination>/],
  ['chaos/main.ts', ['--help'], /npm run chaos/],
  ['operator/main.ts', ['plan', '--help'], /plan <file>/],
  ['test/run.ts', ['test/pipeline/units.test.ts'], /\d+ passed, 0 failed, 0 skipped/],
])(
  'runs %s %j without Java and Maven',
  (script, args, output) => {
    const run = runBootstrap([script, ...args], { PATH: folder, HOME: folder })
    expect(run.stdout + run.stderr).toMatch(output)
    expect(run.status).toBe(0)
  },
  120_000,
)

it('generates files without Java and Maven: crd, dashboards and manifests', () => {
  // The generators write beside their sources, so they run in a copy.
  const copy = join(folder, 'copy')
  const directories = ['charts', 'common', 'grafana', 'k8s', 'kibana', 'operator', 'pipeline', 'processor']
  const generated = ['k8s/crd/salespipelines.yaml', 'grafana/dashboards', 'charts/sales-pipeline/values.yaml']
  for (const path of [...directories, 'package.json', 'package-lock.json', 'local'])
    cpSync(join(root, path), join(copy, path), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
  for (const path of generated) rmSync(join(copy, path), { recursive: true })
  mkdirSync(join(copy, 'grafana/dashboards'))
  const helm = join(folder, 'helm')
  writeFileSync(helm, '#!/bin/sh\n', { mode: 0o755 })
  for (const script of ['operator/crd/generate.ts', 'grafana/generate.ts', 'charts/generate.ts']) {
    const env = { PATH: folder, HOME: folder, HELM: helm }
    const run = spawnSync(process.execPath, [join(copy, 'local/bootstrap.mjs'), script], { encoding: 'utf8', env })
    expect({ script, ...run }).toMatchObject({ script, status: 0, stderr: '' })
  }
  const dashboards = ['pipeline.json', 'sales.json'].map(name => `grafana/dashboards/${name}`)
  for (const file of [generated[0]!, generated[2]!, ...dashboards])
    expect(readFileSync(join(copy, file), 'utf8')).toBe(readFileSync(join(root, file), 'utf8'))
}, 120_000)

it('refuses tests that need servers without Java and Maven, and names both', () => {
  const run = runBootstrap(['test/run.ts', 'test/processor/kafka/source.test.ts'], { PATH: folder, HOME: folder })
  expect(run.stderr).toMatch(/Java 17 or newer: [\s\S]*Maven: /)
  expect(run.status).toBe(1)
}, 120_000)

it('finds Java by JAVA_HOME and rejects an old version', () => {
  const home = join(folder, 'java-11')
  mkdirSync(join(home, 'bin'), { recursive: true })
  writeFileSync(join(home, 'bin', 'java'), '#!/bin/sh\necho \'openjdk version "11.0.2" 2019-01-15\' >&2\n', {
    mode: 0o755,
  })
  const run = runBootstrap(['local/main.ts'], { ...process.env, JAVA_HOME: home })
  expect(run.status).toBe(1)
  expect(run.stderr).toContain('Java 17 or newer in JAVA_HOME')
  expect(run.stderr).not.toContain('Maven')
})

it('runs the script with the pinned Node, first on the PATH, and passes on arguments, output and exit code', () => {
  const code = `
    const shell: string = require('node:child_process').execSync('node -p process.execPath', { encoding: 'utf8' })
    console.log(JSON.stringify({ args: process.argv.slice(2), major: process.versions.node.split('.')[0], shell: shell.trim() === process.execPath }))
    process.exit(42)`
  const run = spawnSync(process.execPath, [bootstrap, script('hand-over', code), '--for', '1 s'], { encoding: 'utf8' })
  expect(run.stderr).toBe('')
  expect(JSON.parse(run.stdout)).toEqual({ args: ['--for', '1 s'], major: '24', shell: true })
  expect(run.status).toBe(42)
})

it.each(['SIGINT', 'SIGTERM'] as const)('waits for its child on %s', async signal => {
  const code = `
    for (const signal of ['SIGINT', 'SIGTERM'])
      process.once(signal, () => { console.log('stopping on ' + signal); setTimeout(() => { console.log('stopped'); process.exit(7) }, 300) })
    console.log('ready')
    setInterval(() => {}, 1000)`
  // A terminal sends Ctrl-C to the whole process group, while SIGTERM goes to one process.
  const run = spawn(process.execPath, [bootstrap, script(`outlived-${signal}`, code)], { detached: true })
  let output = ''
  run.stdout.on('data', data => {
    if (output === '') process.kill(signal === 'SIGINT' ? -run.pid! : run.pid!, signal)
    output += data
  })
  const status = await new Promise(done => run.once('close', done))
  expect(output).toBe(`ready\nstopping on ${signal}\nstopped\n`)
  expect(status).toBe(7)
})

it('stops its child when npm’s shell is terminated', async () => {
  const code = `
    process.once('SIGTERM', () => { console.log('stopping'); process.exit() })
    console.log('ready')
    setInterval(() => {}, 1000)`
  const command = `"${process.execPath}" "${bootstrap}" ${script('orphaned', code)}; true` // with a second command, sh does not replace itself by the first
  const shell = spawn('sh', ['-c', command], { env: { ...process.env, npm_lifecycle_event: 'start' } })
  let output = ''
  shell.stdout.on('data', data => {
    output += data
    shell.kill('SIGTERM')
  })
  await new Promise(done => shell.stdout.once('close', done)) // the child keeps it open until it exits
  expect(output).toBe('ready\nstopping\n')
})

it('exits with 128 plus the number of the signal that killed its child', () => {
  const run = spawnSync(process.execPath, [bootstrap, script('killed', "process.kill(process.pid, 'SIGKILL')")])
  expect(run.status).toBe(137)
})

it('installs packages when the lock file has changed, and shows the output of npm only when npm fails', () => {
  const project = join(folder, 'project')
  const write = (name: string, text: string) => {
    mkdirSync(join(project, name, '..'), { recursive: true })
    writeFileSync(join(project, name), text, { mode: 0o755 })
  }
  const npm = (...commands: string[]) =>
    write('tools/npm', ['#!/bin/sh', 'echo EBADENGINE >&2', ...commands].join('\n'))
  const run = () => {
    const env = { PATH: `${join(project, 'tools')}:/usr/bin:/bin` }
    return spawnSync(process.execPath, [join(project, 'local/bootstrap.mjs'), 'hello.mjs'], { encoding: 'utf8', env })
  }
  for (const file of ['local/bootstrap.mjs', 'local/services/prerequisites.mjs'])
    write(file, readFileSync(join(root, file), 'utf8'))
  write('package-lock.json', 'first')
  write('hello.mjs', 'console.log(process.argv0)')

  npm('echo no network >&2', 'exit 1')
  expect(run()).toMatchObject({
    status: 1,
    stdout: '',
    stderr: expect.stringMatching(/npm install failed:\nEBADENGINE\nno network/),
  })

  npm('mkdir -p node_modules')
  expect(run().stderr).toContain('did not install the pinned Node')

  const pinned = join(project, 'node_modules/.bin/node')
  npm('mkdir -p node_modules/.bin', `ln -sf ${process.execPath} ${pinned}`)
  const installed = run()
  expect(installed).toMatchObject({ status: 0, stdout: `${pinned}\n` })
  expect(installed.stderr).toMatch(/^installing packages .*\ninstalled packages in \d+ s\n$/)

  npm('exit 1')
  expect(run()).toMatchObject({ status: 0, stderr: '' })
  write('package-lock.json', 'second')
  expect(run().stderr).toContain('npm install failed')
})
