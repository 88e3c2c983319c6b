/** Prints `N passed, N failed, N skipped` as the very last line. A file that could not be loaded counts as a failure. */
import type { Reporter, TestModule } from 'vitest/node'

export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const tests = modules.flatMap(module => [...module.children.allTests()].map(test => test.result().state))
    const count = (state: string) => tests.filter(s => s === state).length
    const broken = modules.filter(module => module.errors().length > 0).length + errors.length
    const line = `${count('passed')} passed, ${count('failed') + broken} failed, ${count('skipped') + count('pending')} skipped`
    process.once('exit', () => process.stdout.write(`${line}\n`))
  }
}
