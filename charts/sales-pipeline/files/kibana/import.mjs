/**
 * Imports saved-objects.ndjson, which lies beside this file, into Kibana, and replaces what an earlier import left.
 * Waits until Kibana answers; ends with 1 and a sentence if that takes too long or Kibana refuses. Plain JavaScript
 * without packages, so that any Node runs it as it is, for instance from a ConfigMap.
 *
 * KIBANA_URL, KIBANA_USER, KIBANA_PASSWORD; KIBANA_PATIENCE_S (600); NODE_EXTRA_CA_CERTS as Node reads it.
 */
import { readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'

const ASK_AGAIN_MS = 5_000
const ANSWER_WITHIN_MS = 60_000
const FILE = new URL('./saved-objects.ndjson', import.meta.url)

/** Kibana may answer otherwise in a moment: it starts, or loses Elasticsearch. */
class NotYet extends Error {}

try {
  const settings = settingsFrom(process.env)
  const objects = readFileSync(FILE, 'utf8')
  const imported = await patiently(settings.patienceMs, async () => {
    await expectAvailable(settings)
    return importInto(settings, objects)
  })
  console.log(`imported ${imported} saved objects`)
} catch (error) {
  console.error(`nothing or not all was imported: ${error.message}`)
  process.exitCode = 1
}

function settingsFrom({ KIBANA_URL, KIBANA_USER, KIBANA_PASSWORD, KIBANA_PATIENCE_S = '600' }) {
  const missing = Object.entries({ KIBANA_URL, KIBANA_USER, KIBANA_PASSWORD }).filter(([, value]) => !value)
  if (missing.length > 0) throw new Error(`${missing.map(([name]) => name).join(', ')}: set this in the environment`)
  if (!URL.canParse(KIBANA_URL)) throw new Error('KIBANA_URL: not a URL, such as https://kibana-kb-http:5601')
  const url = new URL(KIBANA_URL)
  // fetch would refuse it with a message that shows the password.
  if (url.username || url.password) throw new Error('KIBANA_URL: no user in it; set KIBANA_USER and KIBANA_PASSWORD')
  const patienceMs = Number(KIBANA_PATIENCE_S) * 1000
  if (!(patienceMs >= 0)) throw new Error('KIBANA_PATIENCE_S: not a number of seconds')
  const authorization = `Basic ${Buffer.from(`${KIBANA_USER}:${KIBANA_PASSWORD}`).toString('base64')}`
  return { url: url.href.replace(/\/$/, ''), authorization, patienceMs }
}

/** Repeats the work while it throws NotYet. An import that was cut off is repeated whole: it overwrites. */
async function patiently(patienceMs, work) {
  for (const deadline = Date.now() + patienceMs; ; await pause(ASK_AGAIN_MS)) {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof NotYet)) throw error
      const left = Math.ceil((deadline - Date.now()) / 1000)
      if (left <= 0) throw new Error(`Kibana was not ready within ${patienceMs / 1000} s: ${error.message}`)
      console.log(`Kibana is not ready (${error.message}); asking again for ${left} s`)
    }
  }
}

async function expectAvailable(settings) {
  const { status } = await ask(settings, '/api/status')
  const level = status?.overall?.level
  // A degraded one imports as well, and some stay so for good.
  if (level !== 'available' && level !== 'degraded') throw new NotYet(`its status is ${level ?? 'unknown'}`)
}

/** Answers how many objects were imported; throws with the name and fault of each that was not. */
async function importInto(settings, objects) {
  const body = new FormData()
  body.append('file', new Blob([objects], { type: 'application/ndjson' }), 'saved-objects.ndjson')
  const headers = { 'kbn-xsrf': 'true' }
  const answer = await ask(settings, '/api/saved_objects/_import?overwrite=true', { method: 'POST', headers, body })
  const faults = (answer.errors ?? []).map(faultOf)
  if (faults.length > 0) throw new Error(faults.join('; '))
  const expected = objects.split('\n').filter(line => line.trim() !== '').length
  if (answer.success !== true || answer.successCount !== expected)
    throw new Error(`Kibana says that it took ${answer.successCount ?? 'none'} of ${expected} objects, and not why`)
  return expected
}

function faultOf({ type, id, title, meta, error = {} }) {
  const missing = (error.references ?? []).map(reference => `${reference.type} ${reference.id}`).join(', ')
  const why = [error.type, error.message, missing].filter(Boolean).join(': ')
  return `${type} ${id} (${meta?.title ?? title ?? 'no title'}): ${why || 'no reason given'}`
}

async function ask({ url, authorization }, path, { headers, ...options } = {}) {
  const signal = AbortSignal.timeout(ANSWER_WITHIN_MS)
  const request = { ...options, headers: { ...headers, authorization }, redirect: 'manual', signal }
  const response = await fetch(url + path, request).catch(error => {
    throw new NotYet(error.cause?.code ?? error.cause?.message ?? error.name)
  })
  const text = await response.text().catch(() => '')
  if (response.status === 429 || response.status >= 500) throw new NotYet(`it answers ${response.status}`)
  if (response.status === 401) throw new Error('401: Kibana does not know KIBANA_USER with this KIBANA_PASSWORD')
  if (response.status !== 200) throw new Error(`${path} answers ${response.status}: ${messageOf(text)}`)
  return parsed(text) ?? {}
}

function messageOf(text) {
  return parsed(text)?.message ?? (text.slice(0, 200) || 'nothing else')
}

function parsed(text) {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
