/**
 * Prints `N passed, N failed, N skipped` as the very last line. A failure outside a test (a file that cannot be loaded,
 * a hook, a stray rejection) counts as failed; a run without any tests fails, too.
 */
import type { Reporter, TestModule } from 'vitest/node'

export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const states = modules.flatMap(({ children }) => [...children.allTests()].map(test => test.result().state))
    const count = (...counted: string[]) => states.filter(state => counted.includes(state)).length
    const groups = modules.flatMap(module => [module, ...module.children.allSuites()])
    const broken = groups.filter(group => group.errors().length > 0).length + errors.length
    const [passed, failed] = [count('passed'), count('failed') + broken]
    if (passed + failed === 0) process.exitCode = 1
    const line = `${passed} passed, ${failed} failed, ${count('skipped', 'pending')} skipped`
    process.once('exit', () => process.stdout.write(`${line}\n`))
  }
}
