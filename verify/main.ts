/** `node verify/main.ts FILE`: prints the verdict; exit code 0 when everything holds, 1 otherwise. */
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import yargs from 'yargs'
import { hideBin } from 'yargs/helpers'
import { readDocument } from './spec.ts'
import { renderVerdict, type VerifyOptions, verify } from './verify.ts'

const { PGUSER = 'postgres', PGPASSWORD = '', ELASTIC_USER, ELASTIC_PASSWORD, CA_FILES } = process.env

const argv = await yargs(hideBin(process.argv))
  .command('$0 <file>', 'Recomputes what a pipeline should hold, from its topic, and compares it with what it holds')
  .positional('file', { type: 'string', demandOption: true, describe: 'the SalesPipeline document (YAML)' })
  .option('bootstrap', { type: 'string', describe: 'Kafka, host:port[,host:port]; the file’s when left out' })
  .option('topic', { type: 'string', describe: 'the file’s when left out' })
  .option('pg-host', { type: 'string', describe: 'PostgreSQL; the file’s when left out' })
  .option('pg-port', { type: 'number', describe: 'the file’s when left out' })
  .option('pg-database', { type: 'string', describe: 'the file’s when left out' })
  .option('elasticsearch', { type: 'string', describe: 'URL; left out: projections are not compared' })
  .option('running', {
    type: 'boolean',
    conflicts: 'elasticsearch',
    describe: 'judge what is committed so far, while the pipeline goes on: the log as far as its progress',
  })
  .option('journal', { type: 'string', describe: 'folder of the load generator’s journal' })
  .option('commit-log', { type: 'string', array: true, describe: 'commit logs of the workers, for the delay' })
  .option('from', { type: 'string', describe: 'delay: only records made at or after this RFC 3339 time' })
  .option('to', { type: 'string', describe: 'delay: only records made before this RFC 3339 time' })
  .option('json', { type: 'boolean', default: false, describe: 'print the verdict as JSON' })
  .epilogue(
    'Environment: PGUSER, PGPASSWORD, PGSSLMODE, ELASTIC_USER, ELASTIC_PASSWORD; CA_FILES, with commas between: ' +
      'authorities to trust. Let the pipeline drain its topic first, or say --running.',
  )
  .example('PGPASSWORD=… $0 k8s/examples/ecommerce.yaml --journal data/journal', 'the log and the tables')
  .strict()
  .parse()

try {
  // As text: they are trusted by whatever connects, beside those that Node knows.
  if (CA_FILES) {
    const files = CA_FILES.split(',').map(file => readFileSync(file, 'utf8'))
    setDefaultCACertificates([...getCACertificates(), ...files])
  }
  const verdict = await verify(await readOptions())
  console.log(argv.json ? JSON.stringify(verdict, null, 2) : renderVerdict(verdict))
  process.exitCode = verdict.ok ? 0 : 1
} catch (error) {
  console.error('cannot verify:', error)
  process.exitCode = 1
}

async function readOptions(): Promise<VerifyOptions> {
  const specText = await readFile(argv.file as string, 'utf8')
  const { source, sinks } = readDocument(specText).spec
  return {
    specText,
    bootstrap: argv.bootstrap ?? (source.bootstrapServers ?? ['localhost:9092']).join(','),
    postgres: {
      host: argv.pgHost ?? sinks?.postgres?.host ?? 'localhost',
      port: argv.pgPort ?? sinks?.postgres?.port ?? 5432,
      database: argv.pgDatabase ?? sinks?.postgres?.database ?? 'sales',
      user: PGUSER,
      password: PGPASSWORD,
    },
    ...(argv.running && { running: true }),
    delay: { ...time('from', argv.from), ...time('to', argv.to) },
    onProgress: message => console.error(message),
    ...(argv.topic && { topic: argv.topic }),
    ...(argv.journal && { journalDir: argv.journal }),
    ...(argv.commitLog && { commitLogs: argv.commitLog }),
    ...(argv.elasticsearch && { elasticsearch: elasticsearch(argv.elasticsearch) }),
  }
}

function elasticsearch(url: string): NonNullable<VerifyOptions['elasticsearch']> {
  return ELASTIC_USER ? { url, user: ELASTIC_USER, password: ELASTIC_PASSWORD ?? '' } : { url }
}

function time(name: 'from' | 'to', text: string | undefined): Partial<Record<'from' | 'to', number>> {
  if (text === undefined) return {}
  const at = Date.parse(text)
  if (Number.isNaN(at)) throw new Error(`--${name} is not a time: ${text}`)
  return { [name]: at }
}
