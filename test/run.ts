/**
 * `npm test`: runs the tests that a contributor can run; see test/suites.ts. Arguments are those of vitest: paths, -t NAME,
 * --project SUITE, --watch …
 */
import { createVitest, parseCLI } from 'vitest/node'
import { installElasticsearch } from '#local/services/install.ts'
import { prepareKafka } from '#local/services/kafka.ts'
import { describeMissing, missingForServers } from '#local/services/prerequisites.mjs'
import { SUITES, type SuiteName, suiteNames } from './suites.ts'

const { filter, options } = parseCLI(['vitest', 'run', ...process.argv.slice(2)])
const isChosen = filter.length > 0 || options.project !== undefined
if (!isChosen) options.project = suiteNames.filter(name => SUITES[name].isDefault)

const vitest = await createVitest('test', options)
try {
  const chosen = await vitest.globTestSpecifications(filter)
  if (chosen.some(({ project }) => SUITES[project.name as SuiteName].startsServers)) await prepareServers()
  await vitest.start(filter)
} finally {
  if (!options.watch) await vitest.exit()
}

/** Installs servers before the tests start, so that no timeout includes a download. */
async function prepareServers(): Promise<void> {
  const missing = missingForServers()
  if (missing.length > 0) {
    process.stderr.write(`${describeMissing(missing)}\nWithout them, run the unit tests: npm test -- --project unit\n`)
    process.exit(1)
  }
  const progress = (line: string) => process.stderr.write(`${line}\n`)
  await prepareKafka(progress)
  await installElasticsearch(progress)
}
