/** Reads the connections of a running system from the output of flows.sh, which prints the connection tracking of nodes. */
import { spawn } from 'node:child_process'
import { type Connection, type Pod, type Protocol, podAt } from '../support/network-policy.ts'

/** Both ends are addresses. The address of a Service is replaced by that of its pod or node. */
export type Flow = Required<Connection>

/** First port that Linux assigns to clients; our servers listen below it. */
const FIRST_EPHEMERAL_PORT = 32_768
/** A tracked connection: source of the first packet, then source of the response, which is the pod behind a Service. */
const TRACKED = /\bipv4 +2 (tcp|udp|sctp) .*?src=(\S+) dst=\S+ sport=(\d+) dport=\d+ .*?src=(\S+) dst=\S+ sport=(\d+) /

/** Returns each flow once, whatever the client's port was and however often it was tried. */
export function flowsIn(raw: string): Flow[] {
  const flows = raw.split('\n').flatMap(line => {
    const [matched, protocol, ...ends] = TRACKED.exec(line) ?? []
    return matched === undefined
      ? []
      : [flow(protocol!.toUpperCase() as Protocol, ends as [string, string, string, string])]
  })
  return distinct(flows)
}

/** If tracking began within a connection, its first packet may be a response: the ports show which end is the client. */
function flow(protocol: Protocol, [client, fromPort, server, port]: [string, string, string, string]): Flow {
  const isReversed = Number(port) >= FIRST_EPHEMERAL_PORT && Number(fromPort) < FIRST_EPHEMERAL_PORT
  if (isReversed) return { from: server, to: client, port: Number(fromPort), protocol }
  return { from: client, to: server, port: Number(port), protocol }
}

/** Returns the node's own addresses, including those of bridges. */
export function addressesIn(raw: string): string[] {
  return [...raw.matchAll(/^\d+: \S+ +inet ([\d.]+)/gm)].map(([, address]) => address!)
}

/**
 * Replaces addresses of pods by their names, as needed to evaluate policies. Packets of a node have the address of the
 * interface that they leave by; for a pod they come from its own node.
 */
export function named(flows: Flow[], pods: Pod[], nodeAddresses: string[]): Flow[] {
  const name = (ip: string) => {
    const pod = podAt(pods, ip)
    return pod ? `${pod.metadata.namespace}/${pod.metadata.name}` : ip
  }
  const source = ({ from, to }: Flow) => (nodeAddresses.includes(from) ? podAt(pods, to)?.status.hostIP : null) ?? from
  return distinct(flows.map(flow => ({ ...flow, from: name(source(flow)), to: name(flow.to) })))
}

function distinct(flows: Flow[]): Flow[] {
  return [...new Map(flows.map(flow => [`${flow.from} ${flow.to} ${flow.port} ${flow.protocol}`, flow])).values()]
}

/** Resolves once every new connection is recorded. */
export async function recordFlows(command: string, args: string[]): Promise<{ stop(): Promise<string> }> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let [out, err] = ['', '']
  child.stdout.on('data', data => (out += data))
  const closed = new Promise<void>(done => child.once('close', () => done()))
  await new Promise<void>((done, fail) => {
    child.once('error', fail).once('close', () => fail(new Error(`cannot record connections: ${err}`)))
    // conntrack has subscribed by the time that it prints the size of its buffer.
    child.stderr.on('data', data => (err += data).includes('buffer size has been set') && done())
  })
  return {
    async stop() {
      const wasAlive = child.exitCode === null && child.signalCode === null && child.kill('SIGTERM')
      await closed
      if (!wasAlive) throw new Error(`the recording ended early: ${err}`)
      if (/ENOBUFS/.test(err)) throw new Error(`connections were lost: ${err}`)
      return out
    },
  }
}
