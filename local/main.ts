/** `npm start`: real Kafka, PostgreSQL and Elasticsearch, workers and load on this machine. Try --help. */
import { SpecError } from '#pipeline/parse.ts'
import { readOptions, UsageError } from './start/options.ts'
import { run } from './start/run.ts'

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2))
  if (!('help' in options)) return run(options)
  process.stdout.write(`${options.help}\n`)
  return 0
}

main().then(
  code => process.exit(code),
  error => {
    const expected = error instanceof UsageError || error instanceof SpecError
    process.stderr.write(`${(error as Error).message}\n`)
    process.exit(expected ? 2 : 1)
  },
)
