/** Faults of `spec.pods`, as in spanning-faults.ts. */
type Changes = Record<string, unknown>

const env = (name: string, more: object = { value: 'a' }) => ({ 'spec.pods': { env: [{ name, ...more }] } })
const RESERVED = [
  'NODE_OPTIONS',
  'NODE_EXTRA_CA_CERTS',
  'LD_PRELOAD',
  'LD_LIBRARY_PATH',
  'SPEC_ADMITTED',
  'WORKER_ID',
  'HTTP_HOST',
  'HTTP_PORT',
  'CPU_MILLIS',
  'MEMORY_LIMIT',
  'KAFKA_TOKEN_FILE',
  'MEMBERS_KEYS',
  'SECRET_POSTGRES_PASSWORD',
  'OTEL_EXPORTER_OTLP_ENDPOINT',
]
const KEYS = [
  'app.kubernetes.io/name',
  'app.kubernetes.io/instance',
  'app.kubernetes.io/component',
  'app.kubernetes.io/managed-by',
  'salespipeline.dev/config',
  'container.apparmor.security.beta.kubernetes.io/processor',
]

export const POD_FAULTS: [fault: Changes, message: RegExp, healed: Changes][] = [
  ...RESERVED.map((name): [Changes, RegExp, Changes] => [
    env(name),
    /^spec\.pods\.env\[0\]\.name: must not be a variable that the operator or our programs use, nor begin with NODE_, LD_/,
    { 'spec.pods.env[0].name': `SHOP_${name}` },
  ]),
  ...['labels', 'annotations'].flatMap(field =>
    KEYS.map((key): [Changes, RegExp, Changes] => [
      { 'spec.pods': { [field]: { [key]: 'prometheus' } } },
      new RegExp(`^spec\\.pods\\.${field}: must not have app\\.kubernetes\\.io/name`),
      { [`spec.pods.${field}`]: { 'app.kubernetes.io/part-of': 'shop' } },
    ]),
  ),
  [
    { 'spec.pods': { priorityClassName: 'system-cluster-critical' } },
    /^spec\.pods\.priorityClassName: must not begin with system-/,
    { 'spec.pods.priorityClassName': 'shop-critical' },
  ],
  [
    env('TZ', {}),
    /^spec\.pods\.env\[0\]\.value: must have either value or valueSecretRef/,
    { 'spec.pods.env[0].value': '' },
  ],
  [
    env('TZ', { value: 'UTC', valueSecretRef: { name: 'shop', key: 'zone' } }),
    /^spec\.pods\.env\[0\]\.value: must have either value or valueSecretRef/,
    { 'spec.pods.env[0].value': undefined },
  ],
  [
    { 'spec.pods': { env: ['TZ', 'TZ'].map(name => ({ name, value: 'UTC' })) } },
    /^spec\.pods\.env\[1\]\.name: "TZ" occurs twice/,
    { 'spec.pods.env[1].name': 'LANG' },
  ],
  [
    { 'spec.pods': { imagePullSecrets: [{ name: 'registry' }, { name: 'registry' }] } },
    /^spec\.pods\.imagePullSecrets\[1\]\.name: "registry" occurs twice/,
    { 'spec.pods.imagePullSecrets[1].name': 'other' },
  ],
]
