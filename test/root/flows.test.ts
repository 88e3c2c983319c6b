/** Makes connections between network namespaces, as a node and its pods, and finds them in the kernel's tracking. */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { addressesIn, flowsIn, recordFlows } from '#test/cluster/flows.ts'

const FLOWS = join(import.meta.dirname, '../cluster/flows.sh')
const [NODE, WEB, DB] = ['node', 'web', 'db'].map(name => `${name}-${process.pid}`) as [string, string, string]
const [WEB_IP, DB_IP, OUTSIDE] = ['10.244.1.2', '10.244.1.3', '198.51.100.9']
/** Services as kube-proxy implements them: two of db, and one of web. */
const SERVICES = `
table ip nat {
  chain prerouting {
    type nat hook prerouting priority dstnat
    ip daddr 10.96.0.10 tcp dport 80 dnat to ${DB_IP}:8080
    ip daddr 10.96.0.53 udp dport 53 dnat to ${DB_IP}:5353
    ip daddr 10.96.0.11 tcp dport 80 dnat to ${WEB_IP}:8080
  }
  chain postrouting {
    type nat hook postrouting priority srcnat
    ip saddr ${WEB_IP} ip daddr ${WEB_IP} masquerade
  }
}
`
/** Connects by TCP, or sends one packet by UDP, to the addresses in its arguments, and prints each outcome. */
const CLIENT = `
const [net, dgram] = [require('node:net'), require('node:dgram')]
for (const target of process.argv.slice(1)) {
  const [protocol, host, port] = target.split(' ')
  const report = outcome => console.log(target, outcome)
  if (protocol === 'udp') {
    const socket = dgram.createSocket('udp4')
    socket.send('?', port, host, () => (report('sent'), socket.close()))
    continue
  }
  const socket = net.connect(port, host, () => (report('connected'), socket.destroy()))
  socket.setTimeout(1000, () => (report('unanswered'), socket.destroy())).on('error', error => report(error.code))
}
`
const SERVER = `require('node:net').createServer(socket => socket.resume()).listen(8080, () => console.log('listens'))`

const inside = (namespace: string, command: string, ...args: string[]) =>
  execFileSync('ip', ['netns', 'exec', namespace, command, ...args], { encoding: 'utf8' })
const script = (namespace: string, lines: string) => inside(namespace, 'sh', '-ec', lines)
const servers: ReturnType<typeof spawn>[] = []

beforeAll(async () => {
  for (const namespace of [NODE, WEB, DB]) execFileSync('ip', ['netns', 'add', namespace])
  script(
    NODE,
    `ip link set lo up
     ip link add cni0 type bridge; ip address add 10.244.0.1/16 dev cni0; ip link set cni0 up
     ip link add out type veth peer name far; ip address add 10.99.0.2/24 dev out; ip link set far up; ip link set out up
     ip route add default dev out
     sysctl -qw net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1`,
  )
  plug(WEB, 'web', WEB_IP)
  plug(DB, 'db', DB_IP)
  execFileSync('ip', ['netns', 'exec', NODE, 'nft', '-f', '-'], { input: SERVICES })
  await Promise.all([serve(WEB), serve(DB)])
})

afterAll(() => {
  for (const server of servers) server.kill('SIGKILL')
  for (const namespace of [NODE, WEB, DB]) execFileSync('ip', ['netns', 'delete', namespace])
})

/** Connects a namespace to the node's bridge, in hairpin mode as in a cluster: a pod can connect to itself. */
function plug(namespace: string, port: string, address: string): void {
  execFileSync('ip', ['link', 'add', port, 'netns', NODE, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace])
  script(NODE, `ip link set ${port} master cni0 up; ip link set ${port} type bridge_slave hairpin on`)
  script(
    namespace,
    `ip link set lo up; ip address add ${address}/16 dev eth0; ip link set eth0 up; ip route add default via 10.244.0.1`,
  )
}

async function serve(namespace: string): Promise<void> {
  const server = spawn('ip', ['netns', 'exec', namespace, process.execPath, '-e', SERVER])
  servers.push(server)
  await once(server.stdout, 'data')
}

const connect = (namespace: string, ...targets: string[]) =>
  inside(namespace, process.execPath, '-e', CLIENT, ...targets)
    .trim()
    .split('\n')
    .sort()

it('finds every connection and attempt, with the pod behind a Service as destination', async () => {
  connect(NODE, `tcp ${WEB_IP} 8080`) // before the recording: the initial list must contain it
  const recording = await recordFlows('ip', ['netns', 'exec', NODE, FLOWS])
  const outcomes = connect(
    WEB,
    `tcp ${DB_IP} 8080`,
    `tcp ${DB_IP} 9999`,
    'tcp 10.96.0.10 80',
    'tcp 10.96.0.11 80',
    `tcp ${OUTSIDE} 443`,
    'udp 10.96.0.53 53',
  )
  connect(NODE, `tcp ${DB_IP} 8080`)
  const raw = await recording.stop()

  expect(outcomes).toEqual([
    'tcp 10.244.1.3 8080 connected',
    'tcp 10.244.1.3 9999 ECONNREFUSED',
    'tcp 10.96.0.10 80 connected',
    'tcp 10.96.0.11 80 connected',
    expect.stringMatching(/^tcp 198.51.100.9 443 (unanswered|EHOSTUNREACH)$/),
    'udp 10.96.0.53 53 sent',
  ])
  expect(addressesIn(raw)).toEqual(['127.0.0.1', '10.244.0.1', '10.99.0.2'])
  const found = flowsIn(raw).map(({ from, to, port, protocol }) => `${from} > ${to}:${port}/${protocol}`)
  expect(found.sort()).toEqual([
    `10.244.0.1 > ${WEB_IP}:8080/TCP`,
    `10.244.0.1 > ${DB_IP}:8080/TCP`,
    `${WEB_IP} > ${WEB_IP}:8080/TCP`,
    `${WEB_IP} > ${DB_IP}:5353/UDP`,
    `${WEB_IP} > ${DB_IP}:8080/TCP`,
    `${WEB_IP} > ${DB_IP}:9999/TCP`,
    `${WEB_IP} > ${OUTSIDE}:443/TCP`,
  ])
})

it('refuses to record where a bridge would hide connections', async () => {
  script(NODE, 'sysctl -qw net.bridge.bridge-nf-call-iptables=0')
  await expect(recordFlows('ip', ['netns', 'exec', NODE, FLOWS])).rejects.toThrow('are not tracked')
})

it('rejects when the recording could not start, or ended early', async () => {
  await expect(recordFlows('/nowhere/flows', [])).rejects.toThrow('ENOENT')
  const short = await recordFlows('sh', ['-c', 'echo the buffer size has been set >&2; kill $$'])
  await expect.poll(() => short.stop().then(String, String), { timeout: 30_000 }).toContain('recording ended early')
})
