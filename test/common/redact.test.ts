import { expect, it } from 'vitest'
import { redact, redactText, rememberSecret, reportText, serverText } from '#common/redact.ts'
import { CONDITIONS } from '#pipeline/conditions.ts'

it.each([
  ['a URL', 'cannot reach http://elastic:hunter2@search:9200/x', 'cannot reach http://[redacted]@search:9200/x'],
  ['a URL with a password that contains @', 'postgres://app:hun@ter2@db/sales', 'postgres://[redacted]@db/sales'],
  ['a URL with a token only', 'https://hunter2@search', 'https://[redacted]@search'],
  ['a header', 'request Authorization: Basic aHVudGVyMg== failed', 'request Authorization: [redacted]'],
  ['a header in JSON', '{"authorization":"ApiKey hunter2","a":1}', '{"authorization":"[redacted]","a":1}'],
  ['a scheme without its header', 'sent Bearer eyJhunter2.x-y_z to it', 'sent Bearer [redacted] to it'],
  ['a DSN', 'host=db user=app password=hunter2 dbname=x', 'host=db user=app password=[redacted] dbname=x'],
  ['a quoted DSN', "password='hun\\'ter2 x' dbname=x", 'password=[redacted] dbname=x'],
  ['a JAAS configuration', 'username="app" password="hunter2";', 'username="app" password=[redacted];'],
  ['JSON', '{"clientSecret": "hunter2", "n": 1}', '{"clientSecret": [redacted], "n": 1}'],
  ['a variable', 'PGPASSWORD=hunter2 SECRET_API_KEY: hunter2', 'PGPASSWORD=[redacted] SECRET_API_KEY: [redacted]'],
  ['a query', '/login?access_token=hunter2&x=1', '/login?access_token=[redacted]&x=1'],
])('redacts the credentials in %s', (_name, text, expected) => {
  expect(redactText(text)).toBe(expected)
})

it.each([
  'password authentication failed for user "app"',
  'spec.sinks.postgres.passwordSecretRef: is sent to db without encryption; set spec.sinks.postgres.tls',
  'spec.sinks.postgres.passwordSecretRef (line 3): is missing; set both usernameSecretRef and passwordSecretRef, or neither',
  'environment variable SECRET_DB_PASSWORD is not set; set it to the value of key password of Secret db',
  'SecretMissing: pod w-1, container processor: Secret db does not exist',
  ...Object.keys(CONDITIONS).map(code => `${code}: pod w-1`),
  'connect ECONNREFUSED 127.0.0.1:5432',
  'see https://example.com/docs#basic, basic authentication is off',
])('does not change %s', text => expect(redactText(text)).toBe(text))

it('redacts each secret that the process has read, in every form in which a server may echo it', () => {
  const secret = rememberSecret('Tr0ub4dor "&" 3')
  for (const text of [secret, encodeURIComponent(secret), JSON.stringify({ a: secret }), `x${secret}y`]) {
    expect(redactText(`seen: ${text}.`)).toContain('[redacted]')
    expect(redactText(`seen: ${text}.`)).not.toMatch(/Tr0ub4dor/)
  }
  expect(JSON.stringify(redact({ error: new Error(`no ${secret}`), list: [[secret]] }))).not.toContain('Tr0ub4dor')
})

it('redacts a short secret as a whole word only, and none of one or two characters', () => {
  rememberSecret('cat')
  rememberSecret('ok')
  expect(redactText('a cat in concatenated text is ok')).toBe('a [redacted] in concatenated text is ok')
})

it('shortens a text of a server only after it has removed the secrets, so that none is cut in two', () => {
  const secret = rememberSecret('0123456789abcdef')
  const text = serverText(`<html>\n${'x '.repeat(490)} ${secret} ${'y'.repeat(100_000)}`)
  expect(text.length).toBeLessThanOrEqual(1001)
  expect(text).not.toMatch(/0123|\n/)
  expect(reportText('z'.repeat(1e6)).length).toBeLessThan(10_000)
})

it('takes time proportional to the length of a hostile text', () => {
  const startedAt = performance.now()
  for (const part of ['password', 'password-', 'a://', 'authorization:', 'Basic ', '"\\', 'token="\\"'])
    redactText(part.repeat(Math.ceil(100_000 / part.length)))
  expect(performance.now() - startedAt).toBeLessThan(5000)
})
