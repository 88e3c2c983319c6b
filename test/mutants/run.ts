/**
 * Plants one fault at a time in a copy of the tree and runs the tests that must detect it. A fault that turns no
 * named test red is a gap in the tests; a fault that no longer applies is a stale entry. Either fails the run, and so does
 * a test that is red without a fault.
 *
 *   npm run test:mutants            plants all faults
 *   npm run test:mutants -- dedup   plants those whose name contains "dedup"
 *   npm run test:mutants -- --rotate   plants the part in CI_PART, and all whose files changed lately
 */
import { fork } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ROOT, suiteNames, suiteOf } from '../suites.ts'
import { MUTANTS } from './all.ts'
import type { Mutant } from './engine.ts'
import type { FromLane, Group, Result } from './lane.ts'
import { changedFiles, inRotation, testsOf } from './rotation.ts'

const LANES = 2
/** Built, fetched or of no use to a test. */
const NOT_COPIED = new Set(['node_modules', '.git', '.local', '.cache', '.ci', 'coverage', 'images.out'])

/** Copies the tree for a lane: faults are planted in files, because some tests start programs from them. */
function copyTree(): string {
  const copy = mkdtempSync(join(tmpdir(), 'mutants-'))
  for (const name of readdirSync(ROOT))
    if (!NOT_COPIED.has(name)) cpSync(join(ROOT, name), join(copy, name), { recursive: true })
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'))
  return copy
}

/** Works on groups until none is left. Rejects when its process ends before that. */
function runLane(next: () => Group | undefined, onResult: (result: Result) => void): Promise<void> {
  const copy = copyTree()
  const env = {
    ...process.env,
    SALESPIPELINE_CACHE: process.env.SALESPIPELINE_CACHE ?? join(ROOT, '.cache'),
    // Node keeps compiled code by path, and each copy has its own.
    NODE_COMPILE_CACHE: join(copy, '.cache/compiled'),
  }
  const lane = fork(join(copy, 'test/mutants/lane.ts'), {
    cwd: copy,
    env,
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  let isDone = false
  lane.on('message', (message: FromLane) => {
    if (message.type === 'result') return onResult(message.result)
    const group = next()
    if (group) return void lane.send(group)
    isDone = true
    lane.disconnect()
  })
  return new Promise((done, fail) => {
    lane.once('exit', code => {
      rmSync(copy, { recursive: true, force: true })
      if (isDone) done()
      else fail(new Error(`the process of a lane exited early with code ${code}`))
    })
  })
}

type Choice = { mutants: Mutant[]; checked: Set<string> }

/**
 * Returns the faults of the part that the environment chooses (.ci/part), and says which. Only the tests of the part are
 * checked without a fault, because `npm test` has just passed.
 */
function rotated(): Choice {
  const { CI_PART: part = 'all', CI_PART_BY: by = 'by default', CI_BASE: base } = process.env
  const mutants = inRotation(MUTANTS, part, changedFiles(base))
  const parts = part === 'all' ? 'parts 1, 2 and 3 of 3' : `part ${part} of 3, ${by}, and faults in changed files`
  console.log(`stage planted-faults: ${parts}: ${mutants.length} of ${MUTANTS.length}`)
  return { mutants, checked: testsOf(MUTANTS, part) }
}

const { values: options, positionals: filters } = parseArgs({
  allowPositionals: true,
  options: { rotate: { type: 'boolean', default: false } },
})
const { mutants, checked } = options.rotate ? rotated() : { mutants: MUTANTS, checked: testsOf(MUTANTS, 'all') }
const chosen = mutants.filter(({ name }) => filters.every(x => name.includes(x)))
const groups: Group[] = [...Map.groupBy(chosen, ({ test }) => test)]
  .map(([test, mutants]) => ({ test, mutants, isChecked: checked.has(test) }))
  // Tests with their own servers take longest, so they come first: otherwise one lane would run them alone at the end.
  .toSorted((a, b) => suiteNames.indexOf(suiteOf(b.test)) - suiteNames.indexOf(suiteOf(a.test)))

let [passed, failed] = [0, 0]
function report({ name, complaint, seconds }: Result): void {
  if (complaint === null) passed++
  else failed++
  console.log(
    `${complaint === null ? '✓' : '✗'} ${name}${complaint === null ? '' : `: ${complaint}`} (${seconds.toFixed(1)} s)`,
  )
}

const lanes = Array.from({ length: LANES }, () => runLane(() => groups.shift(), report))
for (const { reason } of (await Promise.allSettled(lanes)).filter(lane => lane.status === 'rejected')) {
  failed++
  console.error(reason)
}
console.log(`${passed} passed, ${failed} failed, 0 skipped`)
process.exitCode = failed === 0 && passed >= chosen.length && chosen.length > 0 ? 0 : 1
