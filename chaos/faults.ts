/** The faults themselves: whom they hit, how one tells that they bit, and when everybody is there again. */
import { spawn } from 'node:child_process'
import { type Cluster, type Pod, type PodKind, STORES } from './cluster.ts'
import { chosen, type Kind, type Step } from './fault-schedule.ts'
import { ChaosError, kubectl } from './kubectl.ts'

export type Fault = {
  kind: Kind
  /** For people: "pod kafka-dual-0". */
  target: string
  inject(): Promise<void>
  /** What is still to be seen before it has bitten; null: it has. */
  bite(): Promise<string | null>
  /** Whom everybody waits for; null: for nobody any more. */
  missing(): Promise<string | null>
  /** What somebody has to put right afterwards, by which command. */
  leftBehind: string[]
}

export type FaultSettings = { nodeCommand: string | null; nodeWithStore: boolean }

/** Documented by Kubernetes for a node that is surely off: its volumes are let go, its pods replaced. */
const OUT_OF_SERVICE = 'node.kubernetes.io/out-of-service'

/** The fault of a step, on those who are there now. Throws a ChaosError when there is nobody to hit. */
export async function faultOf(step: Step, cluster: Cluster, settings: FaultSettings): Promise<Fault> {
  if (step.kind === 'node') return nodeFault(step, cluster, settings)
  const pods = (await cluster.pods(step.kind)).filter(({ leaving }) => !leaving)
  const pod = step.kind === 'operator' ? await cluster.leader() : chosen(pods, step.pick)
  if (!pod) throw new ChaosError(`there is no pod of kind ${step.kind} to delete`)
  return podFault(step.kind, pod, pods.length, cluster)
}

function podFault(kind: PodKind, pod: Pod, count: number, cluster: Cluster): Fault {
  return {
    kind,
    target: `pod ${pod.name}`,
    leftBehind: [],
    inject: () => deletePod(kind, pod),
    async bite() {
      const isThere = (await cluster.pods(kind)).some(({ uid }) => uid === pod.uid)
      return isThere ? `${pod.name} with uid ${pod.uid} to be gone` : null
    },
    async missing() {
      if (kind === 'worker') return missingWorkers(cluster, null)
      if (kind === 'operator' && !(await cluster.leader())) return 'an operator that leads'
      return missingPods(kind, await cluster.pods(kind), count)
    },
  }
}

/**
 * Without any grace where two pods at the same time do no harm. A store's name and volume are never two pods': the API
 * server keeps it until the kubelet has ended it, after a second.
 */
async function deletePod(kind: PodKind, { namespace, name }: Pod): Promise<void> {
  const isStore = (STORES as readonly string[]).includes(kind)
  const how = isStore ? ['--grace-period=1'] : ['--grace-period=0', '--force']
  await kubectl(['-n', namespace, 'delete', 'pod', name, ...how, '--wait=false'])
}

async function missingWorkers(cluster: Cluster, lost: string | null): Promise<string | null> {
  const { workers } = await cluster.pipeline()
  const pods = await cluster.pods('worker')
  return missingPods(
    'worker',
    pods.filter(({ node }) => node !== lost),
    workers,
  )
}

function missingPods(kind: PodKind, pods: Pod[], count: number): string | null {
  const ready = pods.filter(pod => pod.ready && !pod.leaving).length
  return ready >= count ? null : `${count - ready} of ${count} pods of kind ${kind} to be ready`
}

/** Nodes of workers; those of stores only where that is wanted. */
export async function nodesToLose(cluster: Cluster, withStore: boolean): Promise<{ name: string; stores: Pod[] }[]> {
  const workers = (await cluster.pods('worker')).filter(({ ready, leaving }) => ready && !leaving)
  const stores = (await Promise.all(STORES.map(kind => cluster.pods(kind)))).flat()
  return [...new Set(workers.map(({ node }) => node))]
    .map(name => ({ name, stores: stores.filter(({ node }) => node === name) }))
    .filter(node => withStore || node.stores.length === 0)
}

async function nodeFault(step: Step, cluster: Cluster, settings: FaultSettings): Promise<Fault> {
  const node = chosen(await nodesToLose(cluster, settings.nodeWithStore), step.pick)
  if (!node) throw new ChaosError('every node with a worker has a store as well: say --node-with-store to lose one')
  const { name, stores } = node
  const counts = await Promise.all(STORES.map(async kind => [kind, (await cluster.pods(kind)).length] as const))
  const hadLeader = (await cluster.leader()) !== null
  const leftBehind: string[] = []
  let isTainted = false
  const taint = async () => {
    isTainted = true
    await kubectl(['taint', 'nodes', name, `${OUT_OF_SERVICE}=nodeshutdown:NoExecute`, '--overwrite'])
    leftBehind.push(`once it is up again: kubectl taint nodes ${name} ${OUT_OF_SERVICE}-`)
  }
  return {
    kind: 'node',
    target: `node ${name}${stores.length > 0 ? ` with ${stores.map(pod => pod.name).join(', ')}` : ''}`,
    leftBehind,
    async inject() {
      await runNodeCommand(settings.nodeCommand!, name)
      leftBehind.push(`node ${name} is down: start it again, or kubectl delete node ${name}`)
    },
    bite: async () => ((await cluster.isNodeReady(name)) ? `${name} to be NotReady` : null),
    async missing() {
      // Workers cannot be ready while their store is away: that they run elsewhere must do until then.
      if (stores.length > 0 && !isTainted) {
        const running = (await cluster.pods('worker')).filter(pod => pod.running && !pod.leaving && pod.node !== name)
        const { workers } = await cluster.pipeline()
        if (running.length < workers) return `${workers} workers to run elsewhere`
        await taint()
      }
      if (hadLeader && !(await leads(cluster, name))) return 'an operator that leads elsewhere'
      const kinds = counts.map(async ([kind, count]) => missingPods(kind, await elsewhere(cluster, kind, name), count))
      return (await Promise.all(kinds)).find(text => text !== null) ?? missingWorkers(cluster, name)
    },
  }
}

const elsewhere = async (cluster: Cluster, kind: PodKind, node: string) =>
  (await cluster.pods(kind)).filter(pod => pod.node !== node)

async function leads(cluster: Cluster, lost: string): Promise<boolean> {
  const leader = await cluster.leader()
  return leader !== null && leader.node !== lost
}

/** By the user's own shell; what it prints is theirs to see. */
async function runNodeCommand(command: string, node: string): Promise<void> {
  const child = spawn('sh', ['-c', command.replaceAll('{node}', node)], { stdio: ['ignore', 'inherit', 'inherit'] })
  const code = await new Promise<number | null>((done, fail) => child.once('error', fail).once('close', done))
  if (code !== 0) throw new ChaosError(`--node-command ended with ${code} for node ${node}`)
}
