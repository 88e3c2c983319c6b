/** The workflows by actionlint, which knows GitHub's schema and has shellcheck read each `run`; our scripts by shellcheck. */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { beforeAll, expect, it } from 'vitest'
import { ownFolder } from '../support/folder.ts'
import { ROOT, workflowFiles } from '../support/workflows.ts'
import { installMissing } from './debian.ts'

const VERSION = 'v1.7.12'
const CACHE = resolve(process.env.SALESPIPELINE_CACHE ?? join(ROOT, '.cache'))
const SCRIPTS = [
  '.github/crds',
  '.github/kind-cluster',
  '.github/kind-node',
  '.github/scan-images',
  'test/cluster/images.sh',
  'test/cluster/first-images.sh',
]
const BUILD_MS = 600_000

/** Built once from its Go module and kept in the cache. */
function actionlint(): string {
  const folder = join(CACHE, `actionlint-${VERSION}`)
  const program = join(folder, 'actionlint')
  if (existsSync(program)) return program
  mkdirSync(folder, { recursive: true })
  const env = { ...process.env, GOBIN: folder }
  execFileSync('go', ['install', `github.com/rhysd/actionlint/cmd/actionlint@${VERSION}`], { env, stdio: 'pipe' })
  return program
}

function lint(files: string[], cwd = ROOT): { ok: boolean; text: string } {
  const { status, stdout, stderr } = spawnSync(actionlint(), ['-no-color', ...files], { cwd, encoding: 'utf8' })
  return { ok: status === 0, text: `${stdout}${stderr}` }
}

beforeAll(() => {
  installMissing({ shellcheck: 'shellcheck' })
  actionlint()
}, BUILD_MS)

it.each(workflowFiles())('%s passes actionlint', file => expect(lint([file])).toEqual({ ok: true, text: '' }))

it.each([
  ['a job that does not exist', 'needs: publish', 'needs: publishing', /needs job "publishing"/],
  ['a context that does not exist', 'github.actor', 'github.actors', /property "actors" is not defined/],
  ['an unquoted variable', '"$GITHUB_REF_NAME" >', '$GITHUB_REF_NAME >', /SC2086/],
])('actionlint notices %s', (_, right, wrong, words) => {
  const [file] = workflowFiles().filter(name => basename(name) === 'release.yml')
  const text = readFileSync(join(ROOT, file!), 'utf8')
  expect(text).toContain(right)
  const copy = join(ownFolder('workflows'), 'release.yml')
  writeFileSync(copy, text.replace(right, wrong))
  expect(lint([copy])).toEqual({ ok: false, text: expect.stringMatching(words) })
})

it.each(SCRIPTS)('%s passes shellcheck', script => {
  const { status, stdout } = spawnSync('shellcheck', [script], { cwd: ROOT, encoding: 'utf8' })
  expect({ status, stdout }).toEqual({ status: 0, stdout: '' })
})
