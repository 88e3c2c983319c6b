/** What a run is told, and what it takes for granted otherwise: the names that the Helm chart gives. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import yargs from 'yargs'
import { strictly } from '#common/command-line.ts'
import { parseDuration } from '#pipeline/units.ts'
import { UsageError } from '#pipeline/user-error.ts'
import type { Place, PodKind } from './cluster.ts'
import { KINDS, type Kind } from './fault-schedule.ts'

export type Settings = {
  namespace: string
  pipeline: string
  kinds: Kind[]
  /** Null: rounds begin as long as `forMs` is not over. */
  rounds: number | null
  forMs: number
  everyMs: number
  withinMs: number
  seed: number
  places: Record<PodKind, Place>
  nodeCommand: string | null
  nodeWithStore: boolean
  portForward: boolean
  stopLoad: boolean
  verifyImage: string
  report: string | null
  dryRun: boolean
}

const VERSION = JSON.parse(readFileSync(join(import.meta.dirname, '../package.json'), 'utf8')).version
const NOT_BROKERS = ['kafka-entity-operator', 'kafka-kafka-exporter', 'kafka-cruise-control']
const SELECTORS = {
  // Strimzi gives what belongs to a Kafka, but is no broker, the same labels.
  kafka: [`strimzi.io/cluster=kafka,strimzi.io/kind=Kafka,strimzi.io/name notin (${NOT_BROKERS.join(',')})`],
  postgres: ['app.kubernetes.io/name=postgres', 'cnpg.io/cluster=postgres'],
  elasticsearch: ['elasticsearch.k8s.elastic.co/cluster-name=elasticsearch'],
  operator: ['app.kubernetes.io/name=salespipeline-operator'],
}

/** Throws a UsageError that names what is wrong with the command line. */
export async function readSettings(argv: string[]): Promise<Settings> {
  const told = await strictly(commandLine(argv)).parseAsync()
  const kinds = kindsOf(told.faults)
  const { nodeCommand = null } = told
  if (kinds.includes('node') && !nodeCommand?.includes('{node}'))
    throw new UsageError('a node is lost by --node-command, with {node} in it: "docker kill {node}" on kind')
  const {
    namespace,
    pipeline,
    rounds,
    seed,
    nodeWithStore,
    portForward,
    stopLoad,
    verifyImage,
    report = null,
    dryRun,
  } = told
  if (!Number.isInteger(seed) || seed < 0) throw new UsageError('--seed must be a whole number')
  if (rounds !== undefined && !(Number.isInteger(rounds) && rounds > 0))
    throw new UsageError('--rounds must be a whole number above 0')
  return {
    ...{
      namespace,
      pipeline,
      kinds,
      seed,
      nodeCommand,
      nodeWithStore,
      portForward,
      stopLoad,
      verifyImage,
      report,
      dryRun,
    },
    rounds: told.for === undefined ? (rounds ?? 1) : null,
    forMs: told.for === undefined ? 0 : durationOf('for', told.for),
    everyMs: durationOf('every', told.every),
    withinMs: durationOf('recover-within', told.recoverWithin),
    places: placesOf(namespace, pipeline, told.storesNamespace ?? namespace, told),
  }
}

function commandLine(argv: string[]) {
  const selector = (of: string, labels: string[]) =>
    ({ type: 'string', describe: `labels of ${of}; default ${labels.join(', else ')}` }) as const
  return (
    yargs(argv)
      .scriptName('npm run chaos --')
      .usage(
        '$0 --namespace N --pipeline NAME [options]\n\n' +
          'Chaos for a pipeline that runs with a load, on the cluster that KUBECONFIG names; needs kubectl. Kills at random, ' +
          'measures what users of the results saw, and has the verifier judge that nothing was lost or doubled. ' +
          'Exit code 0: every fault bit, everything recovered, the results are exact. 1: not so. 2: it could not run.',
      )
      .option('namespace', { type: 'string', demandOption: true, describe: 'of the pipeline' })
      .option('pipeline', { type: 'string', demandOption: true, describe: 'name of the SalesPipeline' })
      .option('rounds', { type: 'number', conflicts: 'for', describe: 'each hits every kind once; 1 when left out' })
      .option('for', { type: 'string', describe: 'such as 5m: rounds begin until then; one that began is finished' })
      .option('faults', {
        type: 'string',
        default: KINDS.filter(kind => kind !== 'node').join(','),
        describe: `kinds, of ${KINDS.join(',')}; a node is lost once, as it stays lost`,
      })
      .option('seed', { type: 'number', default: 1, describe: 'the same seed hits in the same order' })
      .option('every', { type: 'string', default: '30s', describe: 'from one fault to the next, at least' })
      .option('recover-within', { type: 'string', default: '5m', describe: 'a fault that takes longer is a failure' })
      .option('report', { type: 'string', describe: 'folder for chaos.md, chaos.json and chaos.svg' })
      .option('node-command', { type: 'string', describe: 'ends a node at once: "docker kill {node}"' })
      .option('node-with-store', {
        type: 'boolean',
        default: false,
        describe: 'the lost node may hold Kafka or a store',
      })
      .option('port-forward', {
        type: 'boolean',
        default: false,
        describe: 'ask workers by kubectl port-forward: where NetworkPolicies keep the API server’s proxy out',
      })
      .option('stop-load', {
        type: 'boolean',
        default: false,
        describe: 'set spec.load.onCluster to false at the end, so that documents can be compared as well as rows',
      })
      .option('verify-image', { type: 'string', default: `salespipeline/verify:${VERSION}`, describe: 'the verifier' })
      .option('stores-namespace', { type: 'string', describe: 'of Kafka and the stores; the pipeline’s when left out' })
      .option('kafka-selector', selector('the brokers', SELECTORS.kafka))
      .option('postgres-selector', selector('PostgreSQL', SELECTORS.postgres))
      .option('elasticsearch-selector', selector('Elasticsearch', SELECTORS.elasticsearch))
      .option('operator-selector', selector('the operator, in any namespace', SELECTORS.operator))
      .option('dry-run', { type: 'boolean', default: false, describe: 'print what would be done, to which pods' })
      .example('$0 --namespace shop --pipeline ecommerce --rounds 2 --report chaos.out', 'two rounds, with a chart')
      // The last of a repeated flag counts.
      .parserConfiguration({ 'duplicate-arguments-array': false })
      .version(false)
  )
}

function kindsOf(text: string): Kind[] {
  const names = text.split(',').filter(name => name !== '')
  const unknown = names.filter(name => !(KINDS as readonly string[]).includes(name))
  if (unknown.length > 0) throw new UsageError(`--faults knows no ${unknown.join(', ')}; allowed: ${KINDS.join(', ')}`)
  if (names.length === 0) throw new UsageError(`--faults is empty; allowed: ${KINDS.join(', ')}`)
  return names as Kind[]
}

function durationOf(flag: string, text: string): number {
  try {
    return parseDuration(text)
  } catch {
    throw new UsageError(`--${flag} must be a duration such as 30s or 5m, not "${text}"`)
  }
}

type Selectors = { [kind in keyof typeof SELECTORS as `${kind}Selector`]?: string | undefined }

function placesOf(namespace: string, pipeline: string, stores: string, told: Selectors): Record<PodKind, Place> {
  const labels = (kind: keyof typeof SELECTORS) => {
    const given = told[`${kind}Selector`]
    return given === undefined ? SELECTORS[kind] : [given]
  }
  const worker = ['name=sales-pipeline', `instance=${pipeline}`, 'component=processor']
  return {
    worker: { namespace, selectors: [worker.map(label => `app.kubernetes.io/${label}`).join(',')] },
    kafka: { namespace: stores, selectors: labels('kafka') },
    postgres: { namespace: stores, selectors: labels('postgres') },
    elasticsearch: { namespace: stores, selectors: labels('elasticsearch') },
    operator: { namespace: null, selectors: labels('operator') },
  }
}
