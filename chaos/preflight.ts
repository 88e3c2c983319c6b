/** Checks before the first fault: the cluster responds, the pipeline is Ready, and every kind of fault has a target. */
import type { Cluster, Pod, PodKind } from './cluster.ts'
import { chosen, type Kind, scheduleRound } from './fault-schedule.ts'
import { nodesToLose } from './faults.ts'
import { ChaosError, kubectl } from './kubectl.ts'
import type { Settings } from './settings.ts'
import { notVerifiable } from './verdict.ts'

/** Resolves with the current context. Throws a ChaosError if there is none or its cluster does not respond. */
export async function contextName(): Promise<string> {
  const name = (await kubectl(['config', 'current-context'])).trim()
  await kubectl(['get', '--raw', '/readyz', '--request-timeout=10s']).catch((error: Error) => {
    throw new ChaosError(`cannot reach the cluster of context ${name}: ${error.message}`)
  })
  return name
}

/** Throws a ChaosError with all problems that prevent the run. */
export async function checkPipeline(cluster: Cluster, settings: Settings): Promise<void> {
  const { document, ready, message, workers } = await cluster.pipeline()
  const problems: string[] = []
  if (!ready)
    problems.push(`pipeline ${settings.pipeline} is not Ready (${message}); wait until it is Ready, then start again`)
  const notVerifiableReason = notVerifiable(document)
  if (notVerifiableReason) problems.push(notVerifiableReason)
  if (settings.stopLoad && !document.spec.load?.onCluster)
    problems.push('--stop-load has no effect, because spec.load.onCluster is already false; remove --stop-load')
  const missing = await Promise.all(settings.kinds.map(kind => missingTarget(kind, cluster, settings)))
  problems.push(...missing.filter(text => text !== null))
  if (workers === 0)
    problems.push(`pipeline ${settings.pipeline} has no workers; set spec.workers.replicas to 1 or more`)
  if (problems.length > 0) throw new ChaosError(problems.join('\n'))
}

/** Resolves with why a kind of fault has no target, and what to do; null if it has one. */
async function missingTarget(kind: Kind, cluster: Cluster, settings: Settings): Promise<string | null> {
  const orRemove = `or remove "${kind}" from --faults`
  if (kind === 'node') return missingNode(cluster, settings)
  if ((await cluster.pods(kind)).length === 0) {
    const advice = kind === 'worker' ? 'wait for workers' : `set --${kind}-selector`
    return `no pod of kind ${kind} in ${cluster.describe(kind)}: ${advice}${namespaceAdvice(kind)}, ${orRemove}`
  }
  if (kind === 'operator' && !(await cluster.leader()))
    return `no operator pod holds the leader Lease: wait, ${orRemove}`
  return null
}

const namespaceAdvice = (kind: PodKind) => (kind === 'worker' || kind === 'operator' ? '' : ' or --stores-namespace')

async function missingNode(cluster: Cluster, { nodeWithStore }: Settings): Promise<string | null> {
  const nodes = await nodesToLose(cluster, nodeWithStore)
  if (nodes.length === 0)
    return 'every node with a worker also runs Kafka or a store, so no node may be killed: add --node-with-store, or remove "node" from --faults'
  const usable = await cluster.usableNodes()
  return usable.length > 1 ? null : 'no second node can run the workers: remove "node" from --faults'
}

/** Resolves with one line for each fault and its target, if the run started now. */
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
  return settings.rounds === null ? [...lines, 'more rounds until the time of --for has passed'] : lines
}
