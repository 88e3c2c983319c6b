/** Parses lines that a kernel printed about connections between network namespaces, and reversed versions of them. */
import { expect, it } from 'vitest'
import { addressesIn, flowsIn, named } from '#test/cluster/flows.ts'
import type { Pod } from './network-policy.ts'

const ADDRESSES = `\
1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever preferred_lft forever
2: cni0    inet 10.244.0.1/16 scope global cni0\\       valid_lft forever preferred_lft forever
`
const BEGUN = `\
    [NEW] ipv4     2 unknown  2 600 src=10.244.0.1 dst=224.0.0.22 [UNREPLIED] src=224.0.0.22 dst=10.244.0.1
    [NEW] ipv4     2 tcp      6 120 SYN_SENT src=10.244.1.2 dst=10.96.0.10 sport=52696 dport=80 [UNREPLIED] src=10.244.1.3 dst=10.244.1.2 sport=8080 dport=52696
    [NEW] ipv4     2 tcp      6 120 SYN_SENT src=10.244.1.2 dst=10.244.1.3 sport=36588 dport=8080 [UNREPLIED] src=10.244.1.3 dst=10.244.1.2 sport=8080 dport=36588
    [NEW] ipv4     2 tcp      6 120 SYN_SENT src=10.244.1.2 dst=10.244.1.3 sport=45754 dport=9999 [UNREPLIED] src=10.244.1.3 dst=10.244.1.2 sport=9999 dport=45754
    [NEW] ipv4     2 tcp      6 120 SYN_SENT src=10.244.1.2 dst=10.96.0.11 sport=56822 dport=80 [UNREPLIED] src=10.244.1.2 dst=10.244.0.1 sport=8081 dport=56822
    [NEW] ipv4     2 udp      17 30 src=10.244.1.2 dst=10.96.0.53 sport=51112 dport=53 [UNREPLIED] src=10.244.1.3 dst=10.244.1.2 sport=5353 dport=51112
    [NEW] ipv4     2 tcp      6 120 SYN_SENT src=10.244.0.1 dst=10.244.1.3 sport=40632 dport=8080 [UNREPLIED] src=10.244.1.3 dst=10.244.0.1 sport=8080 dport=40632
`
const LISTED = `\
ipv4     2 tcp      6 119 TIME_WAIT src=10.244.1.2 dst=10.244.1.3 sport=36588 dport=8080 src=10.244.1.3 dst=10.244.1.2 sport=8080 dport=36588 [ASSURED] mark=0 use=1
ipv4     2 udp      17 28 src=10.244.1.2 dst=10.96.0.53 sport=51112 dport=53 [UNREPLIED] src=10.244.1.3 dst=10.244.1.2 sport=5353 dport=51112 mark=0 use=1
`
const PROC = `\
ipv4     2 tcp      6 118 TIME_WAIT src=10.244.1.2 dst=10.96.0.10 sport=39120 dport=80 src=10.244.1.3 dst=10.244.1.2 sport=8080 dport=39120 [ASSURED] mark=0 zone=0 use=2
ipv6     10 tcp      6 118 TIME_WAIT src=fd00::2 dst=fd00::3 sport=39120 dport=80 src=fd00::3 dst=fd00::2 sport=8080 dport=39120 [ASSURED] mark=0 zone=0 use=2
`
const flow = (from: string, to: string, port: number, protocol: 'TCP' | 'UDP' = 'TCP') => ({ from, to, port, protocol })
const pod = (name: string, podIP: string, hostIP: string, phase = 'Running', hostNetwork = false): Pod => ({
  metadata: { name, namespace: 'shop' },
  spec: { hostNetwork, containers: [] },
  status: { phase, podIP, hostIP },
})

it('finds each connection once, with the pod behind a Service as destination', () => {
  expect(flowsIn(ADDRESSES + BEGUN + LISTED + PROC)).toEqual([
    flow('10.244.1.2', '10.244.1.3', 8080),
    flow('10.244.1.2', '10.244.1.3', 9999),
    flow('10.244.1.2', '10.244.1.2', 8081),
    flow('10.244.1.2', '10.244.1.3', 5353, 'UDP'),
    flow('10.244.0.1', '10.244.1.3', 8080),
  ])
})

it('reads the kernel’s own table', () => expect(flowsIn(PROC)).toEqual([flow('10.244.1.2', '10.244.1.3', 8080)]))

it('reads lines with counters', () => {
  const counted = PROC.split('\n')[0]!.replaceAll(/(dport=\d+)/g, '$1 packets=6 bytes=500')
  expect(counted).toContain('packets=6')
  expect(flowsIn(counted)).toEqual([flow('10.244.1.2', '10.244.1.3', 8080)])
})

it('reverses a connection whose reply was tracked as the request', () => {
  const late =
    'ipv4     2 udp      17 28 src=10.244.1.3 dst=10.244.1.2 sport=53 dport=51112 [UNREPLIED] src=10.244.1.2 dst=10.244.1.3 sport=51112 dport=53 mark=0 use=1'
  expect(flowsIn(late)).toEqual([flow('10.244.1.2', '10.244.1.3', 53, 'UDP')])
})

it('finds the addresses of the node', () => expect(addressesIn(ADDRESSES + BEGUN)).toEqual(['127.0.0.1', '10.244.0.1']))

it('names pods, and replaces a node address by that of the destination pod’s node', () => {
  const pods = [
    pod('ended', '10.244.1.3', '10.99.0.2', 'Succeeded'),
    pod('web', '10.244.1.2', '10.99.0.2'),
    pod('db', '10.244.1.3', '10.99.0.3'),
    pod('agent', '10.99.0.2', '10.99.0.2', 'Running', true),
  ]
  const flows = [
    flow('10.244.1.2', '10.244.1.3', 5432),
    flow('10.244.0.1', '10.244.1.3', 8080),
    flow('10.99.0.2', '10.244.1.3', 8080),
    flow('10.244.1.2', '10.99.0.2', 6443),
    flow('10.244.1.2', '198.51.100.9', 443),
    flow('10.99.0.2', '198.51.100.9', 443),
  ]
  expect(named(flows, pods, ['10.244.0.1', '10.99.0.2'])).toEqual([
    flow('shop/web', 'shop/db', 5432),
    flow('10.99.0.3', 'shop/db', 8080),
    flow('shop/web', '10.99.0.2', 6443),
    flow('shop/web', '198.51.100.9', 443),
    flow('10.99.0.2', '198.51.100.9', 443),
  ])
})
