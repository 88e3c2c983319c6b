/** `npm start`: Kafka, PostgreSQL, Elasticsearch, workers and load on this machine. See --help. */
import { runMain } from '#common/run-main.ts'
import { readOptions } from './start/options.ts'
import { run } from './start/run.ts'

await runMain(async () => {
  const options = readOptions(process.argv.slice(2))
  if (!('help' in options)) return run(options)
  process.stdout.write(`${options.help}\n`)
  return 0
})
