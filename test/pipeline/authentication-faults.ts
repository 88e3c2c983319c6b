/** Faults of credentials, in the form of spanning-faults.ts. */

const secret = { name: 'kafka', key: 'password' }
const passwords = { usernameSecretRef: { name: 'kafka', key: 'username' }, passwordSecretRef: secret }
const oauth = { tokenEndpoint: 'https://login/token', clientId: 'shop', clientSecretRef: secret }
const serviceAccountToken = { audience: 'kafka' }
const encrypted = (sasl: object) => ({ 'spec.source.tls': {}, 'spec.source.sasl': sasl })

export const AUTHENTICATION_FAULTS: [
  fault: Record<string, unknown>,
  message: RegExp,
  healed: Record<string, unknown>,
][] = [
  [
    encrypted({ mechanism: 'PLAIN', usernameSecretRef: passwords.usernameSecretRef }),
    /source\.sasl\.passwordSecretRef: is required unless mechanism is OAUTHBEARER/,
    { 'spec.source.sasl.passwordSecretRef': secret },
  ],
  [
    encrypted({ mechanism: 'PLAIN', ...passwords, oauth }),
    /source\.sasl\.oauth: is only allowed when mechanism is OAUTHBEARER/,
    { 'spec.source.sasl.oauth': undefined },
  ],
  [
    encrypted({ mechanism: 'OAUTHBEARER', ...passwords, oauth }),
    /source\.sasl\.usernameSecretRef: is not allowed when mechanism is OAUTHBEARER/,
    { 'spec.source.sasl': { mechanism: 'OAUTHBEARER', oauth } },
  ],
  [
    encrypted({ mechanism: 'OAUTHBEARER' }),
    /source\.sasl: OAUTHBEARER needs a token; set either oauth or serviceAccountToken/,
    { 'spec.source.sasl.serviceAccountToken': serviceAccountToken },
  ],
  [
    encrypted({ mechanism: 'OAUTHBEARER', oauth, serviceAccountToken }),
    /source\.sasl: OAUTHBEARER needs a token; set either/,
    { 'spec.source.sasl.serviceAccountToken': undefined },
  ],
  [
    { 'spec.source.sasl': { mechanism: 'OAUTHBEARER', serviceAccountToken } },
    /source\.sasl: sends the credentials \(OAUTHBEARER\) without encryption/,
    { 'spec.source.insecure': true },
  ],
  [
    encrypted({ mechanism: 'OAUTHBEARER', oauth: { ...oauth, tokenEndpoint: 'http://login:8080/token' } }),
    /oauth\.tokenEndpoint: http:\/\/login:8080\/token receives the client’s secret without encryption; use https.*spec\.source\.sasl\.oauth\.insecure: true/,
    { 'spec.source.sasl.oauth.insecure': true },
  ],
  ...['source', 'sinks.postgres'].map((block): [Record<string, unknown>, RegExp, Record<string, unknown>] => [
    { [`spec.${block}.tls`]: { enabled: false, clientCertSecretRef: { name: 'user' } } },
    /tls\.clientCertSecretRef: is only sent over TLS, but enabled is false/,
    { [`spec.${block}.tls.enabled`]: true },
  ]),
  [
    {
      'spec.source.tls': { clientCertSecretRef: { name: 'user.name' } },
      'spec.sinks.postgres': { passwordSecretRef: { name: 'user', key: 'name-user.crt' } },
    },
    /have the same environment variable SECRET_USER_NAME_USER_CRT/,
    { 'spec.source.tls.clientCertSecretRef.certificate': 'tls.crt' },
  ],
]
