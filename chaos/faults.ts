/** The faults: their targets, when they have taken effect, and when the cluster has recovered. */
import { spawn } from 'node:child_process'
import { type Cluster, type Pod, type PodKind, STORES } from './cluster.ts'
import { chosen, type Kind, type Step } from './fault-schedule.ts'
import { ChaosError, kubectl } from './kubectl.ts'

export type Fault = {
  kind: Kind
  /** For messages, such as "pod kafka-dual-0". */
  target: string
  inject(): Promise<void>
  /** Resolves with what must happen before the fault has taken effect; null once it has. */
  awaitedEffect(): Promise<string | null>
  /** Resolves with what must happen before the cluster has recovered; null once it has. */
  awaitedRecovery(): Promise<string | null>
  /** What must be repaired by hand afterwards, with the command. */
  leftBehind: string[]
}

export type FaultSettings = { nodeCommand: string | null; nodeWithStore: boolean }

/** The documented taint for a node that is certainly off: Kubernetes detaches its volumes and replaces its pods. */
const OUT_OF_SERVICE = 'node.kubernetes.io/out-of-service'

/** Chooses a target among those that exist now. Throws a ChaosError if there is none. */
export async function faultOf(step: Step, cluster: Cluster, settings: FaultSettings): Promise<Fault> {
  if (step.kind === 'node') return nodeFault(step, cluster, settings)
  const pods = (await cluster.pods(step.kind)).filter(({ terminating }) => !terminating)
  const pod = step.kind === 'operator' ? await cluster.leader() : chosen(pods, step.pick)
  if (!pod) throw new ChaosError(whyNoPod(step.kind, cluster))
  return podFault(step.kind, pod, pods.length, cluster)
}

function whyNoPod(kind: PodKind, cluster: Cluster): string {
  if (kind === 'operator') return 'no operator pod holds the leader Lease; check that the operator is running'
  return `no pod of kind ${kind} to delete in ${cluster.describe(kind)}: all were deleted or are terminating; check why they are not replaced`
}

function podFault(kind: PodKind, pod: Pod, count: number, cluster: Cluster): Fault {
  return {
    kind,
    target: `pod ${pod.name}`,
    leftBehind: [],
    inject: () => deletePod(kind, pod),
    async awaitedEffect() {
      const exists = (await cluster.pods(kind)).some(({ uid }) => uid === pod.uid)
      return exists ? `pod ${pod.name} with uid ${pod.uid} to be deleted` : null
    },
    async awaitedRecovery() {
      if (kind === 'worker') return awaitedWorkers(cluster, null)
      if (kind === 'operator' && !(await cluster.leader())) return 'an operator to become the leader'
      return awaitedPods(kind, await cluster.pods(kind), count)
    },
  }
}

/**
 * Deletes without a grace period unless the pod is a store: two pods must never share a store's name and volume. The API
 * server keeps the pod of a store until the kubelet has stopped it, after a second.
 */
async function deletePod(kind: PodKind, { namespace, name }: Pod): Promise<void> {
  const isStore = (STORES as readonly string[]).includes(kind)
  const how = isStore ? ['--grace-period=1'] : ['--grace-period=0', '--force']
  await kubectl(['-n', namespace, 'delete', 'pod', name, ...how, '--wait=false'])
}

async function awaitedWorkers(cluster: Cluster, lost: string | null): Promise<string | null> {
  const { workers } = await cluster.pipeline()
  const pods = await cluster.pods('worker')
  return awaitedPods(
    'worker',
    pods.filter(({ node }) => node !== lost),
    workers,
  )
}

function awaitedPods(kind: PodKind, pods: Pod[], count: number): string | null {
  const ready = pods.filter(pod => pod.ready && !pod.terminating).length
  return ready >= count ? null : `all ${count} pods of kind ${kind} to be ready (${ready} ready now)`
}

/** Returns the nodes that run workers; those that also run a store only if `withStore`. */
export async function nodesToLose(cluster: Cluster, withStore: boolean): Promise<{ name: string; stores: Pod[] }[]> {
  const workers = (await cluster.pods('worker')).filter(({ ready, terminating }) => ready && !terminating)
  const stores = (await Promise.all(STORES.map(kind => cluster.pods(kind)))).flat()
  return [...new Set(workers.map(({ node }) => node))]
    .map(name => ({ name, stores: stores.filter(({ node }) => node === name) }))
    .filter(node => withStore || node.stores.length === 0)
}

async function nodeFault(step: Step, cluster: Cluster, settings: FaultSettings): Promise<Fault> {
  const node = chosen(await nodesToLose(cluster, settings.nodeWithStore), step.pick)
  if (!node)
    throw new ChaosError(
      'every node with a worker also runs Kafka or a store: add --node-with-store to allow killing such a node',
    )
  const { name, stores } = node
  const counts = await Promise.all(STORES.map(async kind => [kind, (await cluster.pods(kind)).length] as const))
  const hadLeader = (await cluster.leader()) !== null
  const leftBehind: string[] = []
  let isTainted = false
  const taint = async () => {
    isTainted = true
    await kubectl(['taint', 'nodes', name, `${OUT_OF_SERVICE}=nodeshutdown:NoExecute`, '--overwrite'])
    leftBehind.push(`when node ${name} is up again: kubectl taint nodes ${name} ${OUT_OF_SERVICE}-`)
  }
  return {
    kind: 'node',
    target: `node ${name}${stores.length > 0 ? ` with ${stores.map(pod => pod.name).join(', ')}` : ''}`,
    leftBehind,
    async inject() {
      await runNodeCommand(settings.nodeCommand!, name)
      leftBehind.push(`node ${name} is down: restart it, or run kubectl delete node ${name}`)
    },
    awaitedEffect: async () => ((await cluster.isNodeReady(name)) ? `node ${name} to be NotReady` : null),
    async awaitedRecovery() {
      // Workers cannot be ready without their store, so until the taint it is enough that they run on other nodes.
      if (stores.length > 0 && !isTainted) {
        const running = (await cluster.pods('worker')).filter(
          pod => pod.running && !pod.terminating && pod.node !== name,
        )
        const { workers } = await cluster.pipeline()
        if (running.length < workers) return `${workers} workers to run on other nodes`
        await taint()
      }
      if (hadLeader && !(await leads(cluster, name))) return 'an operator on another node to become the leader'
      const kinds = counts.map(async ([kind, count]) => awaitedPods(kind, await elsewhere(cluster, kind, name), count))
      return (await Promise.all(kinds)).find(text => text !== null) ?? awaitedWorkers(cluster, name)
    },
  }
}

const elsewhere = async (cluster: Cluster, kind: PodKind, node: string) =>
  (await cluster.pods(kind)).filter(pod => pod.node !== node)

async function leads(cluster: Cluster, lost: string): Promise<boolean> {
  const leader = await cluster.leader()
  return leader !== null && leader.node !== lost
}

/** Runs the command in a shell; its output goes to the terminal. Throws a ChaosError if it fails. */
async function runNodeCommand(command: string, node: string): Promise<void> {
  const child = spawn('sh', ['-c', command.replaceAll('{node}', node)], { stdio: ['ignore', 'inherit', 'inherit'] })
  const code = await new Promise<number | null>((done, fail) => child.once('error', fail).once('close', done))
  if (code !== 0) throw new ChaosError(`--node-command exited with ${code} for node ${node}`)
}
