/** Order of the test files: the longest first, then those that wait for servers, so that unit tests run beside them. */
import { BaseSequencer, type TestSpecification } from 'vitest/node'
import { suiteNames } from '../suites.ts'

/** Minutes each; started last, one of them would run alone at the end. */
const LONGEST = [
  'integrity/faults',
  'local/start/npm-start',
  'api-server/faults',
  'api-server/chaos',
  'simulator/simulator',
  'root/dockerfile',
  'root/ingest-memory',
  'producer/check/check',
  'root/hostile-batches',
  'root/grafana',
  'local/services',
  'integrity/elasticsearch',
  'integrity/partial',
]

export class SlowFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    return sorted.toSorted((a, b) => rank(b) - rank(a))
  }
}

/** suiteNames go from light to heavy. */
function rank({ moduleId, project }: TestSpecification): number {
  const place = LONGEST.findIndex(name => moduleId.endsWith(`test/${name}.test.ts`))
  if (place >= 0) return Number.MAX_SAFE_INTEGER - place
  return suiteNames.indexOf(project.name as (typeof suiteNames)[number])
}
