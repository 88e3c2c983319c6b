/**
 * Creates the Secrets of the chart that do not exist yet, each with a random password, and the Secret with the data source of
 * Grafana. A password that exists is never changed: volumes contain it. Prints an error and exits with 1 if the API server
 * refuses a request for too long. Plain JavaScript without packages, because it runs in a Job as an argument of Node.
 *
 * Environment: SECRETS and DATASOURCE (JSON, see the chart's template passwords.yaml), API_SERVER, SERVICE_ACCOUNT (folder
 * with token and namespace), PATIENCE_S (seconds, default 120) and Node's NODE_EXTRA_CA_CERTS.
 */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'

const RETRY_AFTER_MS = 2_000
const REQUEST_TIMEOUT_MS = 30_000
/** Bytes of a password: 144 bits of randomness, 24 characters. */
const PASSWORD_BYTES = 18
const FIELD_MANAGER = 'salespipeline-passwords'

const { API_SERVER, SERVICE_ACCOUNT, SECRETS, DATASOURCE, PATIENCE_S = '120' } = process.env
const account = file => readFileSync(`${SERVICE_ACCOUNT}/${file}`, 'utf8').trim()
const secrets = `${API_SERVER}/api/v1/namespaces/${account('namespace')}/secrets`

try {
  await retrying(Number(PATIENCE_S) * 1000, async () => {
    for (const wanted of JSON.parse(SECRETS)) await ensure(wanted)
    if (DATASOURCE) await writeDataSource(JSON.parse(DATASOURCE))
  })
} catch (error) {
  console.error(`creating passwords failed: ${error.message}`)
  process.exitCode = 1
}

/** Repeats the work, because permissions and the network may come later than this pod. */
async function retrying(patienceMs, work) {
  for (const deadline = Date.now() + patienceMs; ; await pause(RETRY_AFTER_MS)) {
    try {
      return await work()
    } catch (error) {
      if (Date.now() >= deadline) throw error
      console.log(`${error.message}; retrying`)
    }
  }
}

/** `labels`, `data`: labels and keys of a new Secret beside its password, as text. */
async function ensure({ name, labels, data }) {
  const existing = await find(name)
  if (existing?.data?.password) return console.log(`Secret ${name} exists and keeps its password`)
  const stringData = { ...data, password: randomBytes(PASSWORD_BYTES).toString('base64url') }
  if (existing) {
    // The version makes the API server refuse the change if another process has set a password meanwhile.
    const metadata = { resourceVersion: existing.metadata.resourceVersion }
    await request('PATCH', `${secrets}/${name}`, { metadata, stringData }, 'application/merge-patch+json')
  } else {
    const type = 'kubernetes.io/basic-auth'
    await request('POST', secrets, { apiVersion: 'v1', kind: 'Secret', metadata: { name, labels }, type, stringData })
  }
  console.log(`Secret ${name} has a new password`)
}

/** `text`: the value of the key `file`, with PASSWORD where the password of the Secret `reader` belongs. */
async function writeDataSource({ name, labels, reader, file, text }) {
  const existing = await find(name)
  if (existing?.metadata.annotations?.['meta.helm.sh/release-name'])
    return console.log(`Secret ${name} belongs to a Helm release and stays as it is`)
  const encoded = (await find(reader))?.data?.password
  if (!encoded) throw new Error(`Secret ${reader} has no key password`)
  const value = text.replace('PASSWORD', () => JSON.stringify(Buffer.from(encoded, 'base64').toString()))
  const data = { [file]: Buffer.from(value).toString('base64') }
  const path = `${secrets}/${name}?fieldManager=${FIELD_MANAGER}&force=true`
  const object = { apiVersion: 'v1', kind: 'Secret', metadata: { name, labels }, data }
  await request('PATCH', path, object, 'application/apply-patch+yaml')
  console.log(`Secret ${name} has the password of Secret ${reader}`)
}

async function find(name) {
  return request('GET', `${secrets}/${name}`, undefined, undefined, [404])
}

/** Resolves with the object, or with null for one of the `accepted` codes. */
async function request(method, url, body, type = 'application/json', accepted = []) {
  const headers = { authorization: `Bearer ${account('token')}`, ...(body && { 'content-type': type }) }
  const signal = AbortSignal.timeout(REQUEST_TIMEOUT_MS)
  const response = await fetch(url, { method, headers, signal, ...(body && { body: JSON.stringify(body) }) }).catch(
    error => {
      throw new Error(`cannot reach ${url}: ${error.cause?.code ?? error.cause?.message ?? error.name}`)
    },
  )
  if (accepted.includes(response.status)) return null
  const answer = await response.json().catch(() => ({}))
  if (!response.ok) throw new Error(`${method} ${url} returned ${response.status}: ${answer.message ?? 'no message'}`)
  return answer
}
