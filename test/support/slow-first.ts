/** Orders the test files: slow ones and those that wait for servers come first, so that unit tests run beside them. */
import { BaseSequencer, type TestSpecification } from 'vitest/node'
import { suiteNames } from '../suites.ts'

const SIMULATOR = 'test/simulator/'

export class SlowFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    return sorted.toSorted((a, b) => rank(b) - rank(a))
  }
}

/** Returns a higher rank for slower tests: suiteNames go from light to heavy; the simulator is one long computation. */
function rank({ moduleId, project }: TestSpecification): number {
  return moduleId.includes(SIMULATOR) ? Infinity : suiteNames.indexOf(project.name as (typeof suiteNames)[number])
}
