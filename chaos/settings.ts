/** The settings of a run, from the command line. Defaults are the names that the Helm chart uses. */
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
  /** Null means that rounds begin until `forMs` is over. */
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
  // Strimzi sets the same labels on pods of a Kafka cluster that are not brokers.
  kafka: [`strimzi.io/cluster=kafka,strimzi.io/kind=Kafka,strimzi.io/name notin (${NOT_BROKERS.join(',')})`],
  postgres: ['app.kubernetes.io/name=postgres', 'cnpg.io/cluster=postgres'],
  elasticsearch: ['elasticsearch.k8s.elastic.co/cluster-name=elasticsearch'],
  operator: ['app.kubernetes.io/name=salespipeline-operator'],
}

/** Throws a UsageError that names the wrong argument. */
export async function readSettings(argv: string[]): Promise<Settings> {
  const args = await strictly(commandLine(argv)).parseAsync()
  const kinds = kindsOf(args.faults)
  const { nodeCommand = null } = args
  if (kinds.includes('node') && !nodeCommand?.includes('{node}'))
    throw new UsageError(
      'the fault "node" needs --node-command, and the command must contain {node}; for a cluster that the tool kind created, for example "docker kill {node}"',
    )
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
  } = args
  if (!Number.isInteger(seed) || seed < 0)
    throw new UsageError(`--seed must be a whole number of 0 or more, not ${seed}`)
  if (rounds !== undefined && !(Number.isInteger(rounds) && rounds > 0))
    throw new UsageError(`--rounds must be a whole number of 1 or more, not ${rounds}`)
  return {
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
    rounds: args.for === undefined ? (rounds ?? 1) : null,
    forMs: args.for === undefined ? 0 : durationOf('for', args.for),
    everyMs: durationOf('every', args.every),
    withinMs: durationOf('recover-within', args.recoverWithin),
    places: placesOf(namespace, pipeline, args.storesNamespace ?? namespace, args),
  }
}

function commandLine(argv: string[]) {
  const selector = (pods: string, labels: string[]) =>
    ({ type: 'string', describe: `label selector of ${pods} [default: ${labels.join(', else ')}]` }) as const
  return (
    yargs(argv)
      .scriptName('npm run chaos --')
      .usage(
        '$0 --namespace N --pipeline NAME [options]\n\n' +
          'Injects faults into a running pipeline on the cluster of the current kubectl context: deletes pods in random ' +
          'order, measures recovery, then runs the verifier. The pipeline must receive load. ' +
          'Exit code: 0 if every fault took effect, everything recovered and the results are exact; 1 if not; 2 if it ' +
          'could not run.',
      )
      .option('namespace', { type: 'string', demandOption: true, describe: 'namespace of the pipeline' })
      .option('pipeline', { type: 'string', demandOption: true, describe: 'name of the SalesPipeline' })
      .option('rounds', {
        type: 'number',
        conflicts: 'for',
        describe: 'number of rounds; each injects every kind once [default: 1]',
      })
      .option('for', {
        type: 'string',
        describe: 'start new rounds during this time, for example 5m; a started round is always completed',
      })
      .option('faults', {
        type: 'string',
        default: KINDS.filter(kind => kind !== 'node').join(','),
        describe: `kinds of faults: ${KINDS.join(',')}; node only in the first round`,
      })
      .option('seed', { type: 'number', default: 1, describe: 'the same seed gives the same order of faults' })
      .option('every', { type: 'string', default: '30s', describe: 'shortest time between two faults' })
      .option('recover-within', {
        type: 'string',
        default: '5m',
        describe: 'time limit for the recovery from one fault; a longer recovery is a failure',
      })
      .option('report', { type: 'string', describe: 'write chaos.md, chaos.json and chaos.svg to this folder' })
      .option('node-command', { type: 'string', describe: 'command that kills a node: "docker kill {node}"' })
      .option('node-with-store', {
        type: 'boolean',
        default: false,
        describe: 'allow killing a node that runs Kafka or a store',
      })
      .option('port-forward', {
        type: 'boolean',
        default: false,
        describe: 'reach workers by kubectl port-forward, if NetworkPolicies block the API server',
      })
      .option('stop-load', {
        type: 'boolean',
        default: false,
        describe: 'set spec.load.onCluster to false at the end, to compare documents as well as rows',
      })
      .option('verify-image', {
        type: 'string',
        default: `salespipeline/verify:${VERSION}`,
        describe: 'image of the verifier',
      })
      .option('stores-namespace', {
        type: 'string',
        describe: 'namespace of Kafka and the stores [default: that of the pipeline]',
      })
      .option('kafka-selector', selector('the brokers', SELECTORS.kafka))
      .option('postgres-selector', selector('PostgreSQL', SELECTORS.postgres))
      .option('elasticsearch-selector', selector('Elasticsearch', SELECTORS.elasticsearch))
      .option('operator-selector', selector('the operator, in any namespace', SELECTORS.operator))
      .option('dry-run', {
        type: 'boolean',
        default: false,
        describe: 'only print the faults and their targets; inject nothing',
      })
      .example('$0 --namespace shop --pipeline ecommerce --rounds 2 --report chaos.out', 'two rounds, with a chart')
      // If a flag is repeated, its last value counts.
      .parserConfiguration({ 'duplicate-arguments-array': false })
      .version(false)
  )
}

function kindsOf(text: string): Kind[] {
  const names = text.split(',').filter(name => name !== '')
  const unknown = names.filter(name => !(KINDS as readonly string[]).includes(name))
  if (unknown.length > 0)
    throw new UsageError(`--faults: unknown kind ${unknown.join(', ')}; allowed: ${KINDS.join(', ')}`)
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

function placesOf(namespace: string, pipeline: string, stores: string, args: Selectors): Record<PodKind, Place> {
  const labels = (kind: keyof typeof SELECTORS) => {
    const given = args[`${kind}Selector`]
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
