/** `npm test`: every test that needs nothing but Node, Java and Maven. Arguments go on to vitest (files, -t name …). */
import { spawnSync } from 'node:child_process'
import { join, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '..')
const args = process.argv.slice(2)
// test/root needs root or Debian packages: only .ci/run, or somebody who names it, runs it.
const exclude = args.some(arg => arg.startsWith('test/root')) ? [] : ['--exclude', 'test/root/**']
const run = spawnSync(process.execPath, [join(root, 'node_modules/vitest/vitest.mjs'), 'run', ...exclude, ...args], { cwd: root, stdio: 'inherit' })
process.exitCode = run.status ?? 1
