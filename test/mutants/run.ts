/**
 * Plants one fault at a time in a copy of the tree and runs the test that must notice. A fault that no named test turns
 * red is a hole in the tests; a fault that no longer applies is a stale entry. Either fails the run.
 *
 *   npm run test:mutants            all of them
 *   npm run test:mutants -- dedup   those whose name contains "dedup"
 */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { ENGINE_MUTANTS, type Mutant } from './engine.ts'
import { NETWORK_POLICY_MUTANTS } from './network-policy.ts'
import { OPERATOR_MUTANTS } from './operator.ts'

const root = resolve(import.meta.dirname, '../..')
const COPIED = [
  'package.json',
  'tsconfig.json',
  'vitest.config.ts',
  'pipeline',
  'common',
  'processor',
  'operator',
  'producer',
  'verify',
  'local',
  'test',
  'k8s',
]

const VITEST = [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--reporter=json']

type JsonReport = { testResults: { assertionResults: { status: string; fullName: string }[] }[] }

function copyTree(): string {
  const copy = mkdtempSync(join(tmpdir(), 'mutants-'))
  for (const name of COPIED) cpSync(join(root, name), join(copy, name), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
  return copy
}

/** Runs the mutant's tests and answers the full names of what failed. Throws when it could not even run. */
function failuresOf(copy: string, mutant: Mutant): string[] {
  const report = join(copy, 'report.json')
  const run = spawnSync(
    process.execPath,
    [...VITEST, mutant.test, `--testNamePattern=${mutant.turnsRed}`, `--outputFile=${report}`],
    {
      cwd: copy,
      encoding: 'utf8',
      timeout: 300_000,
      env: { ...process.env, SALESPIPELINE_CACHE: process.env.SALESPIPELINE_CACHE ?? join(root, '.cache') },
    },
  )
  try {
    const { testResults } = JSON.parse(readFileSync(report, 'utf8')) as JsonReport
    const all = testResults.flatMap(file => file.assertionResults)
    if (all.every(test => test.status === 'skipped')) throw new Error(`no test is named ${mutant.turnsRed}`)
    return all.filter(test => test.status === 'failed').map(test => test.fullName)
  } catch (error) {
    throw new Error(`${mutant.test} did not run: ${(error as Error).message}\n${run.stdout}${run.stderr}`)
  } finally {
    rmSync(report, { force: true })
  }
}

/** Null: a named test turned red, as it must. */
function tryMutant(copy: string, mutant: Mutant): string | null {
  const file = join(copy, mutant.file)
  const sound = readFileSync(file, 'utf8')
  const places = sound.split(mutant.find).length - 1
  if (places !== 1) return `is stale: its text stands ${places} times in ${mutant.file}`
  writeFileSync(
    file,
    sound.replace(mutant.find, () => mutant.plant),
  )
  try {
    const failed = failuresOf(copy, mutant)
    return failed.length > 0 ? null : `was not noticed: "${mutant.turnsRed}" stayed green`
  } finally {
    writeFileSync(file, sound)
  }
}

const wanted = process.argv.slice(2)
const chosen = [...ENGINE_MUTANTS, ...OPERATOR_MUTANTS, ...NETWORK_POLICY_MUTANTS].filter(mutant =>
  wanted.every(part => mutant.name.includes(part)),
)
const copy = copyTree()
let passed = 0
try {
  for (const mutant of chosen) {
    const startedAt = Date.now()
    const complaint = tryMutant(copy, mutant)
    if (!complaint) passed++
    console.log(
      `${complaint ? '✗' : '✓'} ${mutant.name} ${complaint ?? `turns "${mutant.turnsRed}" red`} (${((Date.now() - startedAt) / 1000).toFixed(1)} s)`,
    )
  }
} finally {
  rmSync(copy, { recursive: true, force: true })
}
console.log(`${passed} passed, ${chosen.length - passed} failed, 0 skipped`)
process.exitCode = passed === chosen.length && passed > 0 ? 0 : 1
