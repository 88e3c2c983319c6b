/** The checks of pipeline/authentication-checks.ts in CEL. */
import {
  NEEDS_PASSWORD,
  NEEDS_TOKEN,
  NOT_WITH_TOKEN,
  ONLY_WITH_TOKEN,
  PASSWORD_FIELDS,
  TOKEN_FIELDS,
  UNUSED_CERTIFICATE,
} from '#pipeline/authentication-checks.ts'
import type { CelRule } from './admission-rules.ts'

const TOKEN = "self.mechanism == 'OAUTHBEARER'"

export const SASL: CelRule[] = [
  ...PASSWORD_FIELDS.flatMap(field => [
    { rule: `${TOKEN} || has(self.${field})`, message: NEEDS_PASSWORD, fieldPath: `.${field}` },
    { rule: `!(${TOKEN}) || !has(self.${field})`, message: NOT_WITH_TOKEN, fieldPath: `.${field}` },
  ]),
  ...TOKEN_FIELDS.map(field => ({
    rule: `${TOKEN} || !has(self.${field})`,
    message: ONLY_WITH_TOKEN,
    fieldPath: `.${field}`,
  })),
  {
    rule: `!(${TOKEN}) || ${TOKEN_FIELDS.map(field => `has(self.${field})`).join(' != ')}`,
    message: NEEDS_TOKEN,
  },
]

export const CLIENT_CERTIFICATE: CelRule[] = [
  {
    rule: '!has(self.clientCertSecretRef) || !has(self.enabled) || self.enabled',
    message: UNUSED_CERTIFICATE,
    fieldPath: '.clientCertSecretRef',
  },
]
