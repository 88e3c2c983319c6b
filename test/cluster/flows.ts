/** The connections that a running system makes, from what flows.sh prints of the connection tracking of its nodes. */
import { spawn } from 'node:child_process'
import { type Connection, type Pod, type Protocol, podAt } from '../support/network-policy.ts'

/** Both ends are addresses; a Service's is replaced by the pod's or node's that it stands for. */
export type Flow = Required<Connection>

/** Where Linux takes a client's own port from: nothing of ours listens there. */
const FIRST_EPHEMERAL_PORT = 32_768
/** A connection as its first packet asked for it, then as the answer comes: from whoever stands behind a Service. */
const TRACKED = /\bipv4 +2 (tcp|udp|sctp) .*?src=(\S+) dst=\S+ sport=(\d+) dport=\d+ .*?src=(\S+) dst=\S+ sport=(\d+) /

/** Each flow once, whoever's ephemeral port it came from and however often it was tried. */
export function flowsIn(raw: string): Flow[] {
  const flows = raw.split('\n').flatMap(line => {
    const [matched, protocol, ...ends] = TRACKED.exec(line) ?? []
    return matched === undefined
      ? []
      : [flow(protocol!.toUpperCase() as Protocol, ends as [string, string, string, string])]
  })
  return distinct(flows)
}

/** Where tracking began amid a connection, an answer may have been taken for the first packet: ports tell who asked. */
function flow(protocol: Protocol, [asking, fromPort, answering, port]: [string, string, string, string]): Flow {
  const isTurned = Number(port) >= FIRST_EPHEMERAL_PORT && Number(fromPort) < FIRST_EPHEMERAL_PORT
  if (isTurned) return { from: answering, to: asking, port: Number(fromPort), protocol }
  return { from: asking, to: answering, port: Number(port), protocol }
}

/** The addresses of the node itself, a bridge's among them. */
export function addressesIn(raw: string): string[] {
  return [...raw.matchAll(/^\d+: \S+ +inet ([\d.]+)/gm)].map(([, address]) => address!)
}

/**
 * Flows as policies are asked about them: pods by name, the rest by address. A node's packets carry the address of
 * whatever interface they leave by; to a pod they are those of its own node.
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

/** Answers when every connection from now on is recorded. */
export async function recordFlows(command: string, args: string[]): Promise<{ stop(): Promise<string> }> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let [out, err] = ['', '']
  child.stdout.on('data', data => (out += data))
  const closed = new Promise<void>(done => child.once('close', () => done()))
  await new Promise<void>((done, fail) => {
    child.once('error', fail).once('close', () => fail(new Error(`nothing is recorded: ${err}`)))
    // It has subscribed by the time that it says how large its buffer is.
    child.stderr.on('data', data => (err += data).includes('buffer size has been set') && done())
  })
  return {
    async stop() {
      const wasAlive = child.exitCode === null && child.signalCode === null && child.kill('SIGTERM')
      await closed
      if (!wasAlive) throw new Error(`recording ended early: ${err}`)
      if (/ENOBUFS/.test(err)) throw new Error(`connections were lost: ${err}`)
      return out
    },
  }
}
