/** `node verify/main.ts FILE`: prints the verdict; exit code 0 when everything holds, 1 otherwise. */
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import yargs from 'yargs'
import { hideBin } from 'yargs/helpers'
import { kafkaAccess, sinkAccess, type WrittenSink } from './credentials.ts'
import { complain, print } from './output.ts'
import { readDocument } from './spec.ts'
import { renderVerdict, type VerifyOptions, verify } from './verify.ts'

const { PGUSER, PGPASSWORD, ELASTIC_USER, ELASTIC_PASSWORD, CA_FILES } = process.env

const argv = await yargs(hideBin(process.argv))
  .scriptName('node verify/main.ts')
  .command('$0 <file>', 'Computes the rows of a pipeline again from the topic and compares them with the stored rows')
  .positional('file', { type: 'string', demandOption: true, describe: 'path of the SalesPipeline YAML file' })
  .option('bootstrap', { type: 'string', describe: 'Kafka, host:port[,host:port] (default: from the file)' })
  .option('topic', { type: 'string', describe: 'Kafka topic (default: from the file)' })
  .option('pg-host', { type: 'string', describe: 'PostgreSQL host (default: from the file)' })
  .option('pg-port', { type: 'number', describe: 'PostgreSQL port (default: from the file)' })
  .option('pg-database', { type: 'string', describe: 'PostgreSQL database (default: from the file)' })
  .option('elasticsearch', { type: 'string', describe: 'Elasticsearch URL; without it, projections are not compared' })
  .option('running', {
    type: 'boolean',
    conflicts: 'elasticsearch',
    describe:
      'verify a running pipeline: compare only the records that are committed so far; not together with --elasticsearch',
  })
  .option('journal', { type: 'string', describe: 'folder of the load generator’s journal' })
  .option('commit-log', { type: 'string', array: true, describe: 'commit logs of the workers, to measure the delay' })
  .option('from', {
    type: 'string',
    describe: 'for the delay, use only records created at or after this RFC 3339 time',
  })
  .option('to', { type: 'string', describe: 'for the delay, use only records created before this RFC 3339 time' })
  .option('json', { type: 'boolean', default: false, describe: 'print the verdict as JSON' })
  .epilogue(
    'TLS and authentication are those of the file. Environment: SECRET_<NAME>_<KEY> (value of a key of a Secret), ' +
      'KAFKA_TOKEN_FILE, PGUSER, PGPASSWORD, PGSSLMODE, ELASTIC_USER, ELASTIC_PASSWORD, CA_FILES (CA certificates to ' +
      'trust, comma-separated). Let the pipeline drain its topic first, or pass --running.\n' +
      'Exit code: 0 if the stored rows match the topic exactly, 1 otherwise.',
  )
  .example('PGPASSWORD=… $0 k8s/examples/ecommerce.yaml --journal data/journal', 'compare journal, topic and tables')
  .strict()
  .parse()

try {
  // Every client of this process then trusts these certificates, in addition to those of Node.
  if (CA_FILES) {
    const files = CA_FILES.split(',').map(file => readFileSync(file, 'utf8'))
    setDefaultCACertificates([...getCACertificates(), ...files])
  }
  const verdict = await verify(await readOptions())
  print(argv.json ? JSON.stringify(verdict, null, 2) : renderVerdict(verdict))
  process.exitCode = verdict.ok ? 0 : 1
} catch (error) {
  complain('cannot compare the tables with the topic:', error)
  process.exitCode = 1
}

async function readOptions(): Promise<VerifyOptions> {
  const specText = await readFile(argv.file as string, 'utf8')
  const { source, sinks } = readDocument(specText).spec
  const { tls, user, password } = sinkAccess(sinks?.postgres ?? {}, process.env)
  return {
    specText,
    bootstrap: argv.bootstrap ?? (source.bootstrapServers ?? ['localhost:9092']).join(','),
    kafka: kafkaAccess(source, process.env),
    postgres: {
      host: argv.pgHost ?? sinks?.postgres?.host ?? 'localhost',
      port: argv.pgPort ?? sinks?.postgres?.port ?? 5432,
      database: argv.pgDatabase ?? sinks?.postgres?.database ?? 'sales',
      user: user ?? PGUSER ?? 'postgres',
      password: password ?? PGPASSWORD ?? '',
      ...(tls && { ssl: tls }),
    },
    ...(argv.running && { running: true }),
    delay: { ...time('from', argv.from), ...time('to', argv.to) },
    onProgress: complain,
    ...(argv.topic && { topic: argv.topic }),
    ...(argv.journal && { journalDir: argv.journal }),
    ...(argv.commitLog && { commitLogs: argv.commitLog }),
    ...(argv.elasticsearch && { elasticsearch: elasticsearch(argv.elasticsearch, sinks?.elasticsearch ?? {}) }),
  }
}

function elasticsearch(url: string, sink: WrittenSink): NonNullable<VerifyOptions['elasticsearch']> {
  const { user = ELASTIC_USER, password = ELASTIC_PASSWORD, tls } = sinkAccess(sink, process.env)
  return { url, ...(user && { user, password: password ?? '' }), ...(tls && { tls }) }
}

function time(name: 'from' | 'to', text: string | undefined): Partial<Record<'from' | 'to', number>> {
  if (text === undefined) return {}
  const at = Date.parse(text)
  if (Number.isNaN(at)) throw new Error(`--${name} is not an RFC 3339 time: ${text}`)
  return { [name]: at }
}
