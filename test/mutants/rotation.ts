/** The part of the planted faults that a run of `.ci/run` plants. */
import { spawnSync } from 'node:child_process'
import { ROOT } from '../suites.ts'
import type { Mutant } from './engine.ts'

const PARTS = 3
/** Commits whose files count as changed when no base is given: more than are usually pushed at once. */
const RECENT_COMMITS = 25

/**
 * Returns the files that differ from the commit `base` (default: 25 commits ago), as paths from the root; null when the
 * history does not reach so far.
 */
export function changedFiles(base = `HEAD~${RECENT_COMMITS}`): Set<string> | null {
  const { status, stdout } = spawnSync('git', ['diff', '--name-only', base, '--'], { cwd: ROOT, encoding: 'utf8' })
  return status === 0 ? new Set(stdout.split('\n')) : null
}

/**
 * Returns the faults of the part (1 to 3, or `all`) and, whatever the part, every fault that is planted in a changed file or
 * that a changed test must detect. Faults that the same test detects are in the same part. `changed`: null for all files.
 */
export function inRotation(mutants: Mutant[], part: string, changed: Set<string> | null): Mutant[] {
  if (changed === null) return mutants
  const tests = testsOf(mutants, part)
  return mutants.filter(({ file, test }) => tests.has(test) || changed.has(file) || changed.has(test))
}

/** Returns the tests of the part. */
export function testsOf(mutants: Mutant[], part: string): Set<string> {
  const tests = [...new Set(mutants.map(({ test }) => test))]
  return new Set(tests.filter((_, i) => part === 'all' || i % PARTS === Number(part) - 1))
}
