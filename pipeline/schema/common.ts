/** Field types that several sections of the document share. */

import { z } from 'zod'
import { MAX_DNS_NAME, MAX_SCALE } from '../limits.ts'
import { secretName } from '../names.ts'
import { object } from '../object.ts'
import { text } from '../rules.ts'

const secretKey = () =>
  text(/^[-._a-zA-Z0-9]+$/, 'must be a key of a Secret: letters, digits, - _ .', MAX_DNS_NAME).meta({
    label: 'Secret key',
  })

/** `meaning`: the value of the key. */
export const secretRef = (meaning: string) =>
  object({
    name: secretName().meta({
      description: 'Name of the Secret, in the namespace of the pipeline',
      example: 'postgres',
    }),
    key: secretKey().meta({
      description:
        'Key within the Secret. Outside Kubernetes the value is read from the environment variable SECRET_<NAME>_<KEY>, such as SECRET_POSTGRES_PASSWORD',
      example: 'password',
    }),
  }).meta({ description: `Key of a Secret whose value is ${meaning}`, label: 'Secret reference' })

/** Keys of the Secret if the document names none. `of`: whose servers they are for, if not for all. */
export type CertificateKeys = { certificate: string; key: string; of?: string }

/** Keys of Secrets of the type kubernetes.io/tls, and so of cert-manager and CloudNativePG. */
export const TLS_SECRET: CertificateKeys = { certificate: 'tls.crt', key: 'tls.key' }

const labelOf = (what: string, { of }: CertificateKeys) => (of === undefined ? what : `${what} of ${of}`)

const clientCertificate = (keys: CertificateKeys) =>
  object({
    name: secretName().meta({ description: 'Name of the Secret, in the namespace of the pipeline', example: 'shop' }),
    certificate: secretKey()
      .default(keys.certificate)
      .describe('Key within the Secret whose value is the certificate, with its intermediate certificates'),
    key: secretKey().default(keys.key).describe('Key within the Secret whose value is the private key'),
  }).meta({
    description:
      'Secret with a client certificate and its private key, both in PEM format, to authenticate to the server. Without it, clients have no certificate',
    label: labelOf('client certificate', keys),
  })

/** `meaning`: what is encrypted, and when. `keys`: those of the Secret with the client certificate. */
export const tls = (meaning: string, keys = TLS_SECRET) =>
  object({
    enabled: z
      .boolean()
      .default(true)
      .describe('Whether this block applies. The value false has the same effect as no block'),
    caSecretRef: secretRef(
      'the PEM certificates of the authorities to trust. If left out, the system’s trust store is used',
    ).optional(),
    clientCertSecretRef: clientCertificate(keys).optional(),
  }).meta({ description: meaning, label: labelOf('TLS settings', keys) })

/** `credentials`: what is then sent, and to whom. */
export const insecure = (credentials: string, reason = 'for example because the network is trusted') =>
  z
    .boolean()
    .optional()
    .meta({
      description: `Set to true to send ${credentials} without encryption, ${reason}. Without it, such a document is refused. Has no effect on encrypted connections`,
      example: true,
    })

/** A number of decimal places. */
export const scale = (meaning: string) => z.int().min(0).max(MAX_SCALE).optional().describe(meaning)

const RFC_3339 = z.regexes.datetime({ offset: true }).source.replace(/^\^|\$$/g, '')

export const instant = () =>
  text(new RegExp(`^${RFC_3339}$`), 'must be an RFC 3339 time such as 2026-01-31T00:00:00Z', 40).meta({ label: 'time' })

/** A time, or one end of the topic. */
export const startingPoint = () =>
  text(
    new RegExp(`^(earliest|latest|${RFC_3339})$`),
    'must be earliest, latest or an RFC 3339 time such as 2026-01-31T00:00:00Z',
    40,
  ).meta({ label: 'starting point' })

/** A path such as `customer.country` leads through objects. Arrays need `explode`; indexed-paths.ts refuses indices. */
export const path = () =>
  text(/^[^.\x00-\x20][^.]*(\.[^.]+)*$/, 'must be a field path such as amount or customer.country', 256).meta({
    label: 'field path',
  })

export const fraction = () => z.number().min(0).max(1).default(0)
