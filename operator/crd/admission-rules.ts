/**
 * The checks of pipeline/admission.ts in CEL. Each belongs to the smallest block that it reads: the API server checks a
 * stored document's blocks again only when they change.
 */
import { insecureRemedy, LOGIN_WITHOUT_PASSWORD, LOOPBACK_HOST, PROTECTED_NODE } from '#pipeline/admission.ts'
import { INDEX_REMEDY, INDEXED_PATH } from '#pipeline/indexed-paths.ts'
import { matches, type Rule } from '#pipeline/rules.ts'

/** One entry of `x-kubernetes-validations`. */
export type CelRule = Rule & { messageExpression?: string; fieldPath?: string }

const matching = (pattern: RegExp) => matches(pattern).replace('self.', '')
const TLS = '(has(self.tls) && (!has(self.tls.enabled) || self.tls.enabled))'
const INSECURE = '(has(self.insecure) && self.insecure)'

export const SOURCE: CelRule[] = [
  {
    rule: `!has(self.sasl) || ${TLS} || ${INSECURE}`,
    message: `sends the credentials without encryption; set spec.source.tls. ${insecureRemedy('source')}`,
    fieldPath: '.sasl',
  },
]

export const OAUTH: CelRule[] = [
  {
    rule: `${INSECURE} || self.tokenEndpoint.${matching(PROTECTED_NODE)}`,
    message: `an endpoint that begins with http:// receives the client’s secret without encryption; use https://. ${insecureRemedy('source.sasl.oauth')}`,
    fieldPath: '.tokenEndpoint',
  },
]

export const POSTGRES: CelRule[] = [
  {
    rule: `!has(self.passwordSecretRef) || ${TLS} || ${INSECURE} || !has(self.host) || self.host.${matching(LOOPBACK_HOST)}`,
    message: `is sent without encryption; set spec.sinks.postgres.tls. ${insecureRemedy('sinks.postgres')}`,
    fieldPath: '.passwordSecretRef',
  },
  {
    rule: `!has(self.usernameSecretRef) || has(self.passwordSecretRef) || ${TLS} && has(self.tls.clientCertSecretRef)`,
    message: LOGIN_WITHOUT_PASSWORD,
    fieldPath: '.usernameSecretRef',
  },
]

export const ELASTICSEARCH_TRANSPORT: CelRule[] = [
  {
    rule: `!${TLS} || !has(self.nodes) || self.nodes.all(node, node.startsWith('https://'))`,
    message: 'an address begins with http://, but tls is enabled; use https:// or remove tls',
    fieldPath: '.nodes',
  },
  {
    rule: `!has(self.passwordSecretRef) || ${INSECURE} || !has(self.nodes) || self.nodes.all(node, node.${matching(PROTECTED_NODE)})`,
    message: `an address that begins with http:// receives the password without encryption; use https://. ${insecureRemedy('sinks.elasticsearch')}`,
    fieldPath: '.nodes',
  },
]

export const INGEST: CelRule[] = ['tokensSecretRef', 'jwt'].map(field => ({
  rule: `!has(self.${field}) || has(self.tls) || ${INSECURE}`,
  message: `the ingest receives tokens without encryption; set spec.ingest.tls. ${insecureRemedy('ingest')}`,
  fieldPath: `.${field}`,
}))

/** Paths of fields are strings of their own, so that a stored one is not checked again when its block changes. */
const PATHS = ['id', 'time.path', 'fields[].path', 'explode.path', 'explode.fields[].path']

export const NOT_INDEXED: Record<string, CelRule[]> = Object.fromEntries(
  PATHS.map(path => [`spec.event.${path}`, [{ rule: `!${matches(INDEXED_PATH)}`, message: INDEX_REMEDY }]]),
)

/** Every field of the schema whose value outside Kubernetes is an environment variable. */
const SECRETS = ['usernameSecretRef', 'passwordSecretRef', 'oauth.clientSecretRef', 'oauth.caSecretRef']
  .map(field => `source.sasl.${field}`)
  .concat(
    ['postgres', 'elasticsearch'].flatMap(sink =>
      ['usernameSecretRef', 'passwordSecretRef'].map(field => `sinks.${sink}.${field}`),
    ),
    ['source', 'sinks.postgres', 'sinks.elasticsearch'].map(block => `${block}.tls.caSecretRef`),
  )
const CERTIFICATES = ['source', 'sinks.postgres', 'sinks.elasticsearch'].map(
  block => `${block}.tls.clientCertSecretRef`,
)

/** Returns CEL for a list of "name/key" of these fields of a reference, empty if the reference is not set. */
const secretKeys = (path: string, fields = ['key']) => {
  const parts = path.split('.')
  const isSet = parts.map((_, i) => `has(self.${parts.slice(0, i + 1).join('.')})`).join(' && ')
  return `(${isSet} ? [${fields.map(field => `self.${path}.name + '/' + self.${path}.${field}`).join(', ')}] : [])`
}
const ALL_KEYS = [
  ...SECRETS.map(path => secretKeys(path)),
  ...CERTIFICATES.map(path => secretKeys(path, ['certificate', 'key'])),
]
const variableOf = (key: string) => `${key}.upperAscii().replace('-', '_').replace('.', '_').replace('/', '_')`

export const SHARED_VARIABLES: CelRule[] = [
  {
    rule: `[${ALL_KEYS.join(' + ')}].all(keys, keys.all(a, keys.all(b, a == b || ${variableOf('a')} != ${variableOf('b')})))`,
    message:
      'two keys of Secrets have the same environment variable SECRET_<NAME>_<KEY>, in which every sign except letters and digits becomes "_"; rename one of them',
    fieldPath: '.sinks.postgres',
  },
]
