/** Starts the program as users do and checks its errors and exit codes. */
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, it } from 'vitest'
import { stringify } from 'yaml'
import { documentWith } from '../pipeline/documents.ts'
import { ownFolder } from '../support/folder.ts'

const MAIN = resolve(import.meta.dirname, '../../operator/main.ts')

function run(args: string[], env: Record<string, string> = {}) {
  const home = ownFolder('operator')
  const { PATH } = process.env
  const options = { encoding: 'utf8', env: { PATH, HOME: home, ...env } } as const
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], options)
  expect(stderr).not.toMatch(/^ +at /m)
  return { status, stdout, stderr }
}

function fileWith(text: string): string {
  const file = join(ownFolder('plan'), 'my.yaml')
  writeFileSync(file, text)
  return file
}

it('lists its commands and settings in --help', () => {
  const { status, stdout } = run(['--help'])
  expect(status).toBe(0)
  for (const word of ['plan <file>', 'PROCESSOR_IMAGE', 'KUBECONFIG']) expect(stdout).toContain(word)
})

const IMAGES = { PROCESSOR_IMAGE: 'a:1', PRODUCER_IMAGE: 'b:1' }

/** FILE is replaced by the path of a file with the content `text`. */
it.each<[string, string[], Record<string, string>, number, RegExp, string?]>([
  ['an unknown command', ['paln'], {}, 2, /Unknown argument: paln\nSee --help/],
  ['a plan without a file', ['plan'], {}, 2, /See --help/],
  ['every invalid setting', [], { HTTP_PORT: 'x' }, 2, /PROCESSOR_IMAGE is not set\nPRODUCER_.*\nHTTP_PORT must be/],
  ['a missing cluster', [], IMAGES, 1, /no cluster is configured: set KUBECONFIG/],
  ['a file that does not exist', ['plan', 'nowhere.yaml'], {}, 1, /cannot read nowhere.yaml/],
  ['a file that is not YAML', ['plan', 'FILE'], {}, 1, /cannot read .*my.yaml/, 'a: ['],
  ['a file that is not a pipeline', ['plan', 'FILE'], {}, 1, /my.yaml/, 'kind: Pod'],
  ['a plan without a cluster', ['plan', 'FILE'], {}, 1, /no cluster is configured/, stringify(documentWith({}))],
])('reports %s', (_problem, args, env, code, message, text = '') => {
  const file = fileWith(text)
  const { status, stderr } = run(
    args.map(arg => (arg === 'FILE' ? file : arg)),
    env,
  )
  expect(stderr).toMatch(message)
  expect(status).toBe(code)
})
