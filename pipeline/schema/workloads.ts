/** `spec.ingest` and `spec.workers`: the pods that Kubernetes runs for a pipeline. */

import { z } from 'zod'
import { MAX_PARTITIONS, MAX_RATE } from '../limits.ts'
import { object, optionalObject } from '../object.ts'
import { quantity } from '../quantities.ts'
import { text } from '../rules.ts'
import { plainSpelling, spelled } from '../spellings.ts'
import { duration } from '../units.ts'
import { insecure, secretRef } from './common.ts'

const resourceList = (cpu: string, memory: string) =>
  object({
    cpu: quantity().optional().meta({ description: 'CPU, in cores', example: cpu }),
    memory: quantity().optional().meta({ description: 'Memory, in bytes', example: memory }),
  })

const resources = (of: string, [requests, limits]: [[string, string], [string, string]]) =>
  optionalObject({
    requests: resourceList(...requests)
      .optional()
      .describe(`What ${of} is guaranteed`),
    limits: resourceList(...limits)
      .optional()
      .describe(`What ${of} may use at most`),
  })

const JWKS_URL = /^https?:\/\/[A-Za-z0-9.-]+(:\d{1,5})?(\/[A-Za-z0-9._~/-]*)?$/

const jwt = object({
  issuer: z.string().min(1).max(300).meta({
    description: 'Issuer that a token must name (claim iss)',
    example: 'https://login.example.com/realms/shop',
  }),
  audience: z.string().min(1).max(300).meta({
    description: 'Audience that a token must have (claim aud)',
    example: 'sales-ingest',
  }),
  jwksUrl: text(JWKS_URL, 'must be an address such as https://login.example.com/keys', 300).meta({
    description: 'Address of the public keys of the issuer, its jwks_uri',
    example: 'https://login.example.com/realms/shop/protocol/openid-connect/certs',
    label: 'address of keys',
  }),
  clientClaim: z.string().min(1).max(100).default('sub').describe('Claim of a token that names the client'),
}).describe(
  'Accepts JWTs of an OpenID Connect provider, signed with an asymmetric algorithm. If tokensSecretRef is set too, either is accepted',
)

const tls = object({
  certSecretRef: secretRef('the certificate in PEM format, with its intermediate certificates'),
  keySecretRef: secretRef('the private key of the certificate in PEM format'),
  clientCaSecretRef: secretRef(
    'the PEM certificates of the authorities whose client certificates are accepted. The common name (CN) names the client. If left out, clients are not asked for a certificate',
  ).optional(),
}).describe('Encrypts connections to the ingest; its Service then has port 443 instead of 80')

const rate = (what: string) =>
  z
    .int()
    .min(1)
    .max(MAX_RATE)
    .optional()
    .meta({
      description: `Maximum number of ${what} per second of each client, in each pod; more get 429. If left out, there is no limit`,
      example: 1000,
    })

const clientLimits = object({
  requestsPerSecond: rate('requests'),
  salesPerSecond: rate('sales'),
  burst: duration('1s')
    .prefault('10s')
    .describe('A client that was idle may send as much at once as its rates allow in this time'),
}).describe('Limits of each client. A client without a name is identified by its address')

export const ingest = optionalObject({
  replicas: z.int().min(0).max(64).default(0).describe('Number of pods; 0 runs none'),
  tokensSecretRef: secretRef(
    'the list of token hashes: lines NAME:HASH, which `producer token` prints. If this, jwt and tls.clientCaSecretRef are left out, the ingest accepts sales from anyone who can connect',
  ).optional(),
  jwt: jwt.optional(),
  tls: tls.optional(),
  clientLimits: clientLimits.optional(),
  resources: resources('each pod', [
    ['200m', '256Mi'],
    ['1', '1Gi'],
  ]).describe(
    'Resources of the ingest’s container. The memory of requests in progress follows the memory limit, which should be at least 384Mi. If left out: requests of 50m CPU and 128Mi, and a limit of 512Mi',
  ),
  insecure: insecure(
    'tokens to the ingest',
    'for example because an Ingress terminates TLS and the network behind it is trusted',
  ),
}).meta({
  description: 'Pods on Kubernetes that accept sales over HTTP and send them to the topic',
  example: { replicas: 1 },
})

const autoscale = optionalObject({
  mode: spelled(['off', 'observe', 'active'])
    .default('off')
    .describe(
      'Off: workers.replicas decides. Observe: status reports what the operator would choose. Active: the operator sets the number of workers. The spellings off, observe and active mean the same. In YAML, write "Off" with quotes, because kubectl reads the word without quotes as false',
    )
    .transform(plainSpelling),
  min: z.int().min(0).max(MAX_PARTITIONS).default(1).describe('Minimum number of workers in mode active'),
  max: z.int().min(1).max(MAX_PARTITIONS).default(8).describe('Maximum number of workers in mode active'),
  targetUtilization: z
    .number()
    .min(0.1)
    .max(0.95)
    .default(0.7)
    .describe('How much of a worker’s measured capacity should be used under steady traffic, as a fraction'),
  catchUpWithin: duration('1s').prefault('2m').describe('Time in which a backlog should be processed'),
  stabilization: duration()
    .prefault('5m')
    .describe('Workers are removed only if a smaller number would have been enough during this whole time'),
  cooldown: duration().prefault('1m').describe('Minimum time between two changes of the number of workers'),
}).describe('Decides whether and how the operator chooses the number of workers')

export const workers = optionalObject({
  replicas: z
    .int()
    .min(0)
    .max(MAX_PARTITIONS)
    .default(2)
    .describe(
      'Number of workers; 0 pauses the pipeline. Workers beyond the number of partitions stay idle. If `workers.autoscale.mode` is `active`, this is only the initial number',
    ),
  autoscale,
  resources: resources('each worker', [
    ['500m', '256Mi'],
    ['2', '512Mi'],
  ]).describe('Resources of each worker’s container on Kubernetes'),
}).describe('The pods or processes that read the topic and compute the results')
