/** Before anything is hit: that the cluster answers, that the pipeline is well, and whom there is to hit. */
import type { Cluster, Pod, PodKind } from './cluster.ts'
import { chosen, type Kind, scheduleRound } from './fault-schedule.ts'
import { nodesToLose } from './faults.ts'
import { ChaosError, kubectl } from './kubectl.ts'
import type { Settings } from './settings.ts'
import { notVerifiable } from './verdict.ts'

/** The name of the cluster's context. Throws a ChaosError when there is none, or when it does not answer. */
export async function contextName(): Promise<string> {
  const name = (await kubectl(['config', 'current-context'])).trim()
  await kubectl(['get', '--raw', '/readyz', '--request-timeout=10s']).catch((error: Error) => {
    throw new ChaosError(`the cluster of context ${name} cannot be reached: ${error.message}`)
  })
  return name
}

/** Throws a ChaosError with all that keeps the run from beginning. */
export async function checkPipeline(cluster: Cluster, settings: Settings): Promise<void> {
  const { document, ready, says, workers } = await cluster.pipeline()
  const faults: string[] = []
  if (!ready) faults.push(`${settings.pipeline} is not Ready (${says})`)
  const unfit = notVerifiable(document)
  if (unfit) faults.push(unfit)
  if (settings.stopLoad && !document.spec.load?.onCluster)
    faults.push('--stop-load has nothing to stop: spec.load.onCluster is false')
  const absent = await Promise.all(settings.kinds.map(kind => nobodyOf(kind, cluster, settings)))
  faults.push(...absent.filter(text => text !== null))
  if (workers === 0) faults.push('it has no workers')
  if (faults.length > 0) throw new ChaosError(faults.join('\n'))
}

/** Why a kind cannot be hit, and what to do; null: it can. */
async function nobodyOf(kind: Kind, cluster: Cluster, settings: Settings): Promise<string | null> {
  const leave = `or leave ${kind} out of --faults`
  if (kind === 'node') return noNode(cluster, settings)
  if ((await cluster.pods(kind)).length === 0) {
    const name = kind === 'worker' ? 'wait for workers' : `name them by --${kind}-selector`
    return `no pod of kind ${kind} in ${cluster.describe(kind)}: ${name}${whichNamespace(kind)}, ${leave}`
  }
  if (kind === 'operator' && !(await cluster.leader()))
    return `none of the operator’s pods holds its Lease: wait, ${leave}`
  return null
}

const whichNamespace = (kind: PodKind) =>
  kind === 'worker' || kind === 'operator' ? '' : ' or their namespace by --stores-namespace'

async function noNode(cluster: Cluster, { nodeWithStore }: Settings): Promise<string | null> {
  const nodes = await nodesToLose(cluster, nodeWithStore)
  if (nodes.length === 0)
    return 'every node with a worker has a store as well: say --node-with-store, or leave node out of --faults'
  const usable = await cluster.usableNodes()
  return usable.length > 1
    ? null
    : 'there is no second node that could take the workers over: leave node out of --faults'
}

/** What would be hit if the run began now, a line each. */
export async function describeSchedule(cluster: Cluster, settings: Settings): Promise<string[]> {
  const rounds = settings.rounds ?? 1
  const steps = Array.from({ length: rounds }, (_, i) => scheduleRound(settings.seed, i + 1, settings.kinds)).flat()
  const lines = await Promise.all(
    steps.map(async ({ round, kind, pick }) => {
      if (kind === 'node') {
        const nodes = await nodesToLose(cluster, settings.nodeWithStore)
        return `round ${round}: ${kind}: ${chosen(nodes, pick)?.name} by ${settings.nodeCommand}`
      }
      const pods = await cluster.pods(kind)
      const pod: Pod | null | undefined = kind === 'operator' ? await cluster.leader() : chosen(pods, pick)
      return `round ${round}: ${kind}: pod ${pod?.namespace}/${pod?.name}, one of ${pods.length}`
    }),
  )
  return settings.rounds === null ? [...lines, 'and so on in further rounds, until the time is over'] : lines
}
