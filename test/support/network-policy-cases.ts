/**
 * The clauses of the API reference of NetworkPolicy, each with connections that it allows and that it refuses between the
 * pods of network-policy.test.ts. A spec is the YAML of a policy in namespace shop.
 */
type Case = { clause: string; specs: string[]; allowed: string[]; refused: string[] }

export const DB = '{ matchLabels: { app: db } }'
export const CASES: Case[] = [
  {
    clause: 'an empty podSelector selects every pod of its namespace and none of another',
    specs: ['{ podSelector: {}, policyTypes: [Ingress] }'],
    allowed: ['shop/web > bank/web:80', '192.0.2.1 > bare/web:80'],
    refused: ['bank/web > shop/web:8080', 'shop/web > shop/db:5432', '192.0.2.1 > shop/other:1'],
  },
  {
    clause: 'a pod that no policy selects is open',
    specs: [`{ podSelector: ${DB}, policyTypes: [Ingress, Egress] }`],
    allowed: ['bank/web > shop/web:8080', 'shop/web > 192.0.2.1:443'],
    refused: ['bank/web > shop/db:5432', 'shop/db > 192.0.2.1:443'],
  },
  {
    clause: 'an absent ingress list and an empty one allow nothing',
    specs: [`{ podSelector: ${DB} }`, `{ podSelector: { matchLabels: { app: web } }, ingress: [] }`],
    allowed: ['shop/db > bank/web:80'],
    refused: ['shop/web > shop/db:5432', 'shop/db > shop/web:8080'],
  },
  {
    clause: 'an empty rule allows everything',
    specs: [`{ podSelector: ${DB}, ingress: [{}] }`],
    allowed: ['bank/web > shop/db:1', '192.0.2.1 > shop/db:65535/UDP', 'shop/web > shop/db:9/SCTP'],
    refused: [],
  },
  {
    clause: 'empty lists of from and ports are like absent ones',
    specs: [
      `{ podSelector: ${DB}, ingress: [{ from: [], ports: [{ port: 1 }] }, { from: [{ podSelector: {} }], ports: [] }] }`,
    ],
    allowed: ['bank/web > shop/db:1', 'shop/web > shop/db:2'],
    refused: ['bank/web > shop/db:2'],
  },
  {
    clause: 'absent policyTypes mean Ingress alone where there is no egress rule',
    specs: [`{ podSelector: ${DB}, ingress: [{}] }`, `{ podSelector: { matchLabels: { app: web } }, egress: [] }`],
    allowed: ['shop/db > 192.0.2.1:443', 'shop/web > 192.0.2.1:443'],
    refused: ['shop/db > shop/web:8080'],
  },
  {
    clause: 'absent policyTypes mean both where there is an egress rule',
    specs: [`{ podSelector: ${DB}, egress: [{ ports: [{ port: 443 }] }] }`],
    allowed: ['shop/db > 192.0.2.1:443'],
    refused: ['shop/db > 192.0.2.1:80', 'shop/web > shop/db:5432'],
  },
  {
    clause: 'an empty list of policyTypes is like an absent one',
    specs: [`{ podSelector: ${DB}, policyTypes: [], egress: [{ ports: [{ port: 443 }] }] }`],
    allowed: ['shop/db > 192.0.2.1:443'],
    refused: ['shop/db > 192.0.2.1:80', 'shop/web > shop/db:5432'],
  },
  {
    clause: 'policyTypes override the lists: a list whose type is absent has no effect',
    specs: [`{ podSelector: ${DB}, policyTypes: [Egress], ingress: [{ ports: [{ port: 1 }] }] }`],
    allowed: ['shop/web > shop/db:2'],
    refused: ['shop/db > 192.0.2.1:443'],
  },
  {
    clause: 'policies add up, whatever their order',
    specs: [1, 2].map(port => `{ podSelector: ${DB}, ingress: [{ ports: [{ port: ${port} }] }] }`),
    allowed: ['shop/web > shop/db:1', 'shop/web > shop/db:2'],
    refused: ['shop/web > shop/db:3'],
  },
  {
    clause: 'a connection must match both peer and port of the same rule',
    specs: [
      `
      podSelector: ${DB}
      ingress:
        - { from: [{ podSelector: { matchLabels: { app: web } } }], ports: [{ port: 1 }] }
        - { from: [{ podSelector: { matchExpressions: [{ key: app, operator: DoesNotExist }] } }], ports: [{ port: 2 }] }`,
    ],
    allowed: ['shop/web > shop/db:1', 'shop/other > shop/db:2'],
    refused: ['shop/web > shop/db:2', 'shop/other > shop/db:1'],
  },
  {
    clause: 'a podSelector alone means pods of the policy’s own namespace',
    specs: [`{ podSelector: ${DB}, ingress: [{ from: [{ podSelector: { matchLabels: { app: web } } }] }] }`],
    allowed: ['shop/web > shop/db:1'],
    refused: ['bank/web > shop/db:1', 'bare/web > shop/db:1', 'shop/other > shop/db:1', '192.0.2.1 > shop/db:1'],
  },
  {
    clause: 'a namespaceSelector alone means every pod of such namespaces; an empty one means every namespace',
    specs: [
      `{ podSelector: ${DB}, ingress: [{ from: [{ namespaceSelector: { matchLabels: { team: red } } }] }] }`,
      `{ podSelector: { matchLabels: { app: web } }, ingress: [{ from: [{ namespaceSelector: {} }] }] }`,
    ],
    allowed: ['bank/web > shop/db:1', 'bank/audit > shop/db:1', 'bare/web > shop/web:1', 'shop/db > shop/web:1'],
    refused: ['bare/web > shop/db:1', 'shop/web > shop/db:1', '192.0.2.1 > shop/web:1'],
  },
  {
    clause: 'both selectors in one peer must hold',
    specs: [
      `
      podSelector: ${DB}
      ingress: [{ from: [{ namespaceSelector: { matchLabels: { team: red } }, podSelector: { matchLabels: { app: web } } }] }]`,
    ],
    allowed: ['bank/web > shop/db:1'],
    refused: ['bank/audit > shop/db:1', 'shop/web > shop/db:1'],
  },
  {
    clause: 'the selector of one of two peers is enough',
    specs: [
      `
      podSelector: ${DB}
      ingress: [{ from: [{ namespaceSelector: { matchLabels: { team: red } } }, { podSelector: { matchLabels: { app: web } } }] }]`,
    ],
    allowed: ['bank/web > shop/db:1', 'bank/audit > shop/db:1', 'shop/web > shop/db:1'],
    refused: ['shop/other > shop/db:1', 'bare/web > shop/db:1'],
  },
  {
    clause: 'In and NotIn compare values; NotIn holds where the label is absent',
    specs: [
      `
      podSelector: { matchExpressions: [{ key: app, operator: In, values: [db, dbase] }] }
      ingress: [{ from: [{ podSelector: { matchExpressions: [{ key: app, operator: NotIn, values: [web] }] } }] }]`,
    ],
    allowed: ['shop/other > shop/db:1', 'shop/web > shop/other:1'],
    refused: ['shop/web > shop/db:1'],
  },
  {
    clause: 'Exists and DoesNotExist look for the label alone',
    specs: [
      `
      podSelector: { matchExpressions: [{ key: tier, operator: DoesNotExist }] }
      ingress: [{ from: [{ namespaceSelector: { matchExpressions: [{ key: tier, operator: Exists }] } }] }]`,
    ],
    allowed: ['bank/web > shop/db:1', 'bare/web > shop/web:1'],
    refused: ['bare/web > shop/db:1', 'shop/web > shop/db:1'],
  },
  {
    clause: 'labels and expressions of one selector must all hold',
    specs: [
      `
      podSelector: ${DB}
      ingress: [{ from: [{ podSelector: { matchLabels: { app: web }, matchExpressions: [{ key: tier, operator: DoesNotExist }] } }] }]`,
    ],
    allowed: [],
    refused: ['shop/web > shop/db:1', 'shop/other > shop/db:1'],
  },
  {
    clause: 'an ipBlock contains its addresses except for the exceptions',
    specs: [
      `{ podSelector: ${DB}, ingress: [{ from: [{ ipBlock: { cidr: 192.0.2.0/24, except: [192.0.2.128/25, 192.0.2.7/32] } }] }] }`,
    ],
    allowed: ['192.0.2.1 > shop/db:1', '192.0.2.127 > shop/db:1'],
    refused: ['192.0.2.7 > shop/db:1', '192.0.2.128 > shop/db:1', '192.0.3.1 > shop/db:1', 'shop/web > shop/db:1'],
  },
  {
    clause: 'an ipBlock contains pods by their addresses; IPv6 is another family',
    specs: [
      `{ podSelector: ${DB}, egress: [{ to: [{ ipBlock: { cidr: 10.1.2.0/24 } }, { ipBlock: { cidr: '2001:db8::/32' } }] }] }`,
    ],
    allowed: ['shop/db > bank/web:1', 'shop/db > 10.1.2.77:1', 'shop/db > 2001:db8::1:1'],
    refused: ['shop/db > shop/web:1', 'shop/db > 2001:db9::1:1'],
  },
  {
    clause: 'protocol is TCP where absent, and a port of another protocol is another port',
    specs: [`{ podSelector: ${DB}, ingress: [{ ports: [{ port: 53 }, { port: 54, protocol: UDP }] }] }`],
    allowed: ['shop/web > shop/db:53', 'shop/web > shop/db:53/TCP', 'shop/web > shop/db:54/UDP'],
    refused: ['shop/web > shop/db:53/UDP', 'shop/web > shop/db:54'],
  },
  {
    clause: 'a port entry without a number means every port of its protocol',
    specs: [`{ podSelector: ${DB}, ingress: [{ ports: [{ protocol: UDP }] }] }`],
    allowed: ['shop/web > shop/db:1/UDP', 'shop/web > shop/db:65535/UDP'],
    refused: ['shop/web > shop/db:1'],
  },
  {
    clause: 'endPort is the last port of a range',
    specs: [`{ podSelector: ${DB}, egress: [{ ports: [{ port: 32000, endPort: 32768 }] }] }`],
    allowed: ['shop/db > 192.0.2.1:32000', 'shop/db > 192.0.2.1:32768'],
    refused: ['shop/db > 192.0.2.1:31999', 'shop/db > 192.0.2.1:32769', 'shop/db > 192.0.2.1:32100/UDP'],
  },
  {
    clause: 'a named port of an ingress rule is the port of that name in the selected pod',
    specs: ['{ podSelector: {}, ingress: [{ ports: [{ port: http }] }] }'],
    allowed: ['bank/web > shop/web:8080', 'bank/web > shop/db:5432'],
    refused: [
      'bank/web > shop/web:80',
      'bank/web > shop/db:8080',
      'bank/web > shop/other:8080',
      'bank/web > shop/db:5432/UDP',
    ],
  },
  {
    clause: 'a named port of an egress rule is the port of that name in the destination; an external address has none',
    specs: [
      '{ podSelector: { matchLabels: { app: web } }, policyTypes: [Egress], egress: [{ ports: [{ port: http }] }] }',
    ],
    allowed: ['shop/web > bank/web:80', 'shop/web > shop/db:5432'],
    refused: ['shop/web > bank/web:8080', 'shop/web > 192.0.2.1:80', 'shop/web > bank/audit:80'],
  },
  {
    clause: 'both ends must agree',
    specs: [
      `{ podSelector: { matchLabels: { app: web } }, policyTypes: [Egress], egress: [{ ports: [{ port: 1 }, { port: 2 }] }] }`,
      `{ podSelector: ${DB}, ingress: [{ ports: [{ port: 2 }, { port: 3 }] }] }`,
    ],
    allowed: ['shop/web > shop/db:2', 'shop/web > 192.0.2.1:1', 'shop/other > shop/db:3'],
    refused: ['shop/web > shop/db:1', 'shop/web > shop/db:3'],
  },
  {
    clause: 'replies are implied: a pod that must not connect may reply to connections',
    specs: [`{ podSelector: ${DB}, policyTypes: [Ingress, Egress], ingress: [{}] }`],
    allowed: ['shop/web > shop/db:5432'],
    refused: ['shop/db > shop/web:8080'],
  },
  {
    clause: 'a pod is always open to its own node, and to no other node',
    specs: ['{ podSelector: {}, policyTypes: [Ingress, Egress] }'],
    allowed: ['10.0.0.1 > shop/web:8080', '10.0.0.2 > shop/other:1', 'shop/agent > shop/other:1'],
    refused: ['10.0.0.2 > shop/web:8080', 'shop/agent > shop/web:8080', 'shop/web > 10.0.0.1:6443'],
  },
  {
    clause: 'a pod on its node’s network is never selected, and is a peer only by its node’s address',
    specs: [
      `{ podSelector: { matchLabels: { app: web } }, policyTypes: [Ingress, Egress] }`,
      `{ podSelector: ${DB}, ingress: [{ from: [{ podSelector: {} }] }, { from: [{ ipBlock: { cidr: 10.0.0.2/32 } }], ports: [{ port: 7 }] }] }`,
    ],
    allowed: ['shop/agent > 192.0.2.1:443', 'bank/web > shop/agent:10250', 'shop/agent > shop/db:7'],
    refused: ['shop/agent > shop/db:8', 'shop/web > 192.0.2.1:443'],
  },
  {
    clause: 'a pod may always connect to itself',
    specs: ['{ podSelector: {}, policyTypes: [Ingress, Egress] }'],
    allowed: ['shop/web > shop/web:8080', 'shop/web > 10.1.1.1:8080'],
    refused: ['shop/web > shop/db:5432'],
  },
  {
    clause: 'the address of a pod means that pod',
    specs: [`{ podSelector: ${DB}, ingress: [{ from: [{ podSelector: {} }], ports: [{ port: http }] }] }`],
    allowed: ['10.1.1.1 > 10.1.1.2:5432'],
    refused: ['10.1.2.4 > 10.1.1.2:5432', '10.1.1.1 > 10.1.1.2:5433'],
  },
]
