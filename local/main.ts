/** `npm start`: Kafka, PostgreSQL, Elasticsearch, workers and load on this machine. See --help. */
import { writeLines } from '#common/output.ts'
import { runMain } from '#common/run-main.ts'
import { readOptions } from './start/options.ts'
import { run } from './start/run.ts'

await runMain(async () => {
  const options = readOptions(process.argv.slice(2))
  if (!('help' in options)) return run(options)
  writeLines(process.stdout, options.help)
  return 0
})
