/** `spec.source.sasl`: how clients authenticate to the brokers, apart from certificates. */

import { z } from 'zod'
import { MAX_DNS_NAME } from '../limits.ts'
import { object } from '../object.ts'
import { text } from '../rules.ts'
import { duration } from '../units.ts'
import { type CertificateKeys, insecure, secretRef } from './common.ts'

/** Keys of the Secret that Strimzi creates for a KafkaUser. */
export const STRIMZI_USER: CertificateKeys = { certificate: 'user.crt', key: 'user.key', of: 'Kafka' }

export const PASSWORD_MECHANISMS = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const

const ENDPOINT = /^https?:\/\/[A-Za-z0-9.-]+(:\d{1,5})?(\/[A-Za-z0-9._~/%-]*)?(\?[A-Za-z0-9._~/%=&-]*)?$/

const oauth = object({
  tokenEndpoint: text(ENDPOINT, 'must be an address such as https://login.example.com/oauth2/token', 500).meta({
    label: 'token endpoint',
    description: 'Address that issues tokens for client credentials (OAuth 2.0, RFC 6749, section 4.4)',
    example: 'https://login.example.com/realms/shop/protocol/openid-connect/token',
  }),
  clientId: text(/^[\x20-\x7e]+$/, 'must be printable ASCII', MAX_DNS_NAME).meta({
    label: 'client id',
    description: 'Id of the client at the endpoint',
    example: 'sales-pipeline',
  }),
  clientSecretRef: secretRef('the client’s secret. It is sent in the header Authorization: Basic'),
  scope: text(/^[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*$/, 'must be scopes separated by one space', 500)
    .optional()
    .meta({
      label: 'scope',
      description: 'Scopes of the token, separated by spaces. If left out, the endpoint decides',
      example: 'kafka',
    }),
  caSecretRef: secretRef(
    'the PEM certificates of the authorities to trust for the endpoint. If left out, the system’s trust store is used',
  ).optional(),
  insecure: insecure('the client’s secret to an endpoint that begins with http and is not on this machine'),
}).describe('Client credentials for mechanism OAUTHBEARER. A token is fetched again before it expires')

const serviceAccountToken = object({
  audience: text(/^[\x21-\x7e]+$/, 'must be printable ASCII without spaces', MAX_DNS_NAME).meta({
    label: 'audience',
    description: 'Audience of the token, which the brokers must expect',
    example: 'kafka',
  }),
  lifetime: duration('10m', '24h')
    .prefault('1h')
    .describe(
      'Time after which a token expires. Kubernetes replaces it earlier, and the API server may limit the time',
    ),
}).describe(
  'The token of the pipeline’s ServiceAccount for mechanism OAUTHBEARER. The file is read again for each authentication. Outside Kubernetes, the environment variable KAFKA_TOKEN_FILE names the file',
)

export const sasl = object({
  mechanism: z.enum([...PASSWORD_MECHANISMS, 'OAUTHBEARER']).describe('SASL mechanism that the brokers accept'),
  usernameSecretRef: secretRef('the user name').optional(),
  passwordSecretRef: secretRef('the password').optional(),
  oauth: oauth.optional(),
  serviceAccountToken: serviceAccountToken.optional(),
}).describe('How to authenticate to the brokers. If left out, only tls.clientCertSecretRef authenticates, if it is set')
