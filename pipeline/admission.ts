/**
 * Checks of new documents only: documents that the API server stored before these checks existed must still run, so these
 * checks are separate from those in checks.ts. Most protect credentials: none is sent over an unencrypted connection unless
 * `insecure: true` states that this is intended, and no two Secrets share an environment variable.
 */
import type { Fault } from './faults.ts'
import { indexedPathFaults } from './indexed-paths.ts'
import { resourceFaults } from './resource-checks.ts'
import type { Spec } from './schema.ts'
import { secretVariable, sinkSecrets, sourceSecrets } from './secrets.ts'

/** Traffic to these hosts, or to a directory with a Unix socket, does not leave the machine or the pod. */
export const LOOPBACK_HOST = /^(localhost|127(\.\d{1,3}){3}|::1|\/.*)$/
/** Addresses of Elasticsearch whose traffic is encrypted or does not leave the machine or the pod. */
export const PROTECTED_NODE = /^(https:\/\/.*|http:\/\/(localhost|127(\.\d{1,3}){3})([:/].*)?)$/

/** Returns all faults, each with the path of the field to change. The spec must have passed the schema. */
export function admissionFaults(spec: Spec): Fault[] {
  const { source, sinks, ingest } = spec
  return [
    ...kafkaFaults(source),
    ...endpointFaults(source.sasl?.oauth),
    ...postgresFaults(sinks.postgres),
    ...loginFaults(sinks.postgres),
    ...elasticsearchFaults(sinks.elasticsearch),
    ...ingestFaults(ingest),
    ...sharedVariables(spec),
    ...indexedPathFaults(spec),
    ...resourceFaults(spec),
  ]
}

/** Returns the end of a message about the block of that path below spec. */
export const insecureRemedy = (block: string) =>
  `To send the credentials without encryption, set spec.${block}.insecure: true`

function kafkaFaults({ sasl, tls, insecure: isIntended }: Spec['source']): Fault[] {
  // Brokers on loopback are no exception: they name the brokers that the client connects to next.
  if (!sasl || tls?.enabled || isIntended) return []
  const message = `sends the credentials (${sasl.mechanism}) without encryption; set spec.source.tls. ${insecureRemedy('source')}`
  return [{ path: ['source', 'sasl'], message }]
}

type OAuth = NonNullable<Spec['source']['sasl']>['oauth']

function endpointFaults(oauth: OAuth): Fault[] {
  if (!oauth || oauth.insecure || PROTECTED_NODE.test(oauth.tokenEndpoint)) return []
  const message = `${oauth.tokenEndpoint} receives the client’s secret without encryption; use https://. ${insecureRemedy('source.sasl.oauth')}`
  return [{ path: ['source', 'sasl', 'oauth', 'tokenEndpoint'], message }]
}

function postgresFaults({ host, passwordSecretRef, tls, insecure: isIntended }: Spec['sinks']['postgres']): Fault[] {
  if (!passwordSecretRef || tls?.enabled || isIntended || LOOPBACK_HOST.test(host)) return []
  const message = `is sent to ${host} without encryption; set spec.sinks.postgres.tls. ${insecureRemedy('sinks.postgres')}`
  return [{ path: ['sinks', 'postgres', 'passwordSecretRef'], message }]
}

export const LOGIN_WITHOUT_PASSWORD =
  'has no password; set passwordSecretRef, or authenticate with tls.clientCertSecretRef'

function loginFaults({ usernameSecretRef, passwordSecretRef, tls }: Spec['sinks']['postgres']): Fault[] {
  if (!usernameSecretRef || passwordSecretRef || (tls?.enabled && tls.clientCertSecretRef)) return []
  return [{ path: ['sinks', 'postgres', 'usernameSecretRef'], message: LOGIN_WITHOUT_PASSWORD }]
}

function elasticsearchFaults(elasticsearch: Spec['sinks']['elasticsearch']): Fault[] {
  if (!elasticsearch) return []
  const { nodes, passwordSecretRef, tls, insecure: isIntended } = elasticsearch
  const faultAt = (node: string, message: string): Fault => ({
    path: ['sinks', 'elasticsearch', 'nodes', nodes.indexOf(node)],
    message,
  })
  const plain = nodes.find(node => node.startsWith('http://'))
  if (tls?.enabled && plain !== undefined)
    return [faultAt(plain, `${plain} is not encrypted, but tls is enabled; use https:// or remove tls`)]
  const unprotected = nodes.find(node => !PROTECTED_NODE.test(node))
  if (!passwordSecretRef || isIntended || unprotected === undefined) return []
  const message = `${unprotected} receives the password without encryption; use https://. ${insecureRemedy('sinks.elasticsearch')}`
  return [faultAt(unprotected, message)]
}

function ingestFaults(ingest: Spec['ingest']): Fault[] {
  if (ingest.insecure || ingest.tls) return []
  const message = `the ingest receives tokens without encryption; set spec.ingest.tls. ${insecureRemedy('ingest')}`
  return (['tokensSecretRef', 'jwt'] as const)
    .filter(field => ingest[field])
    .map(field => ({ path: ['ingest', field], message }))
}

/** Two Secrets with one variable would silently get one value. */
function sharedVariables(spec: Spec): Fault[] {
  const first = new Map<string, string>()
  const ofSource = sourceSecrets(spec)
  return [...ofSource, ...sinkSecrets(spec)].flatMap((ref, i) => {
    const variable = secretVariable(ref)
    const key = `${ref.name}/${ref.key}`
    const other = first.get(variable) ?? key
    first.set(variable, other)
    if (other === key) return []
    const message = `Secret keys ${other} and ${key} have the same environment variable ${variable}; rename one of them`
    return [{ path: [i < ofSource.length ? 'source' : 'sinks'], message }]
  })
}
