/**
 * Imports saved-objects.ndjson from the folder of this file into Kibana and overwrites earlier imports. Waits until
 * Kibana is available; prints an error and exits with 1 if that takes too long or Kibana rejects an object. Plain
 * JavaScript without packages, so that any Node can run it, for example from a ConfigMap.
 *
 * Environment: KIBANA_URL, KIBANA_USER, KIBANA_PASSWORD, KIBANA_PATIENCE_S (seconds, default 600) and Node's
 * NODE_EXTRA_CA_CERTS.
 */
import { readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'

const RETRY_AFTER_MS = 5_000
const REQUEST_TIMEOUT_MS = 60_000
const FILE = new URL('./saved-objects.ndjson', import.meta.url)

/** A temporary failure: Kibana is starting, or has lost Elasticsearch. */
class NotReady extends Error {}

try {
  const settings = settingsFrom(process.env)
  const objects = readFileSync(FILE, 'utf8')
  const imported = await retrying(settings.patienceMs, async () => {
    await expectAvailable(settings)
    return importInto(settings, objects)
  })
  console.log(`imported ${imported} saved objects`)
} catch (error) {
  console.error(`import failed: ${error.message}`)
  process.exitCode = 1
}

function settingsFrom({ KIBANA_URL, KIBANA_USER, KIBANA_PASSWORD, KIBANA_PATIENCE_S = '600' }) {
  const missing = Object.entries({ KIBANA_URL, KIBANA_USER, KIBANA_PASSWORD }).filter(([, value]) => !value)
  if (missing.length > 0) throw new Error(`not set in the environment: ${missing.map(([name]) => name).join(', ')}`)
  if (!URL.canParse(KIBANA_URL))
    throw new Error('KIBANA_URL is not a URL; set it to, for example, https://kibana-kb-http:5601')
  const url = new URL(KIBANA_URL)
  // fetch would reject the URL with a message that shows the password.
  if (url.username || url.password)
    throw new Error('KIBANA_URL contains credentials; move them to KIBANA_USER and KIBANA_PASSWORD')
  const patienceMs = Number(KIBANA_PATIENCE_S) * 1000
  if (!(patienceMs >= 0)) throw new Error(`KIBANA_PATIENCE_S is not a number of seconds: ${KIBANA_PATIENCE_S}`)
  const authorization = `Basic ${Buffer.from(`${KIBANA_USER}:${KIBANA_PASSWORD}`).toString('base64')}`
  return { url: url.href.replace(/\/$/, ''), authorization, patienceMs }
}

/** Repeats the work while it throws NotReady. An interrupted import is repeated completely: it overwrites objects. */
async function retrying(patienceMs, work) {
  for (const deadline = Date.now() + patienceMs; ; await pause(RETRY_AFTER_MS)) {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof NotReady)) throw error
      const left = Math.ceil((deadline - Date.now()) / 1000)
      if (left <= 0) throw new Error(`Kibana was not ready within ${patienceMs / 1000} s: ${error.message}`)
      console.log(`Kibana is not ready (${error.message}); retrying for ${left} s`)
    }
  }
}

async function expectAvailable(settings) {
  const { status } = await request(settings, '/api/status')
  const level = status?.overall?.level
  // Kibana can import while it is degraded, and some installations stay degraded.
  if (level !== 'available' && level !== 'degraded') throw new NotReady(`status ${level ?? 'unknown'}`)
}

/** Resolves with the number of imported objects. Rejects with the name and error of each object that was not imported. */
async function importInto(settings, objects) {
  const body = new FormData()
  body.append('file', new Blob([objects], { type: 'application/ndjson' }), 'saved-objects.ndjson')
  const headers = { 'kbn-xsrf': 'true' }
  const result = await request(settings, '/api/saved_objects/_import?overwrite=true', { method: 'POST', headers, body })
  const faults = (result.errors ?? []).map(faultOf)
  if (faults.length > 0) throw new Error(faults.join('; '))
  const expected = objects.split('\n').filter(line => line.trim() !== '').length
  if (result.success !== true || result.successCount !== expected)
    throw new Error(`Kibana imported ${result.successCount ?? 'none'} of ${expected} objects and gave no reason`)
  return expected
}

function faultOf({ type, id, title, meta, error = {} }) {
  const missing = (error.references ?? []).map(reference => `${reference.type} ${reference.id}`).join(', ')
  const why = [error.type, error.message, missing].filter(Boolean).join(': ')
  return `${type} ${id} (${meta?.title ?? title ?? 'no title'}): ${why || 'no reason given'}`
}

async function request({ url, authorization }, path, { headers, ...options } = {}) {
  const signal = AbortSignal.timeout(REQUEST_TIMEOUT_MS)
  const init = { ...options, headers: { ...headers, authorization }, redirect: 'manual', signal }
  const response = await fetch(url + path, init).catch(error => {
    throw new NotReady(error.cause?.code ?? error.cause?.message ?? error.name)
  })
  const text = await response.text().catch(() => '')
  if (response.status === 429 || response.status >= 500) throw new NotReady(`HTTP ${response.status}`)
  if (response.status === 401) throw new Error('HTTP 401: wrong KIBANA_USER or KIBANA_PASSWORD')
  if (response.status !== 200) throw new Error(`${path} returned HTTP ${response.status}: ${messageOf(text)}`)
  return parsed(text) ?? {}
}

function messageOf(text) {
  return parsed(text)?.message ?? (text.slice(0, 200) || 'empty response')
}

function parsed(text) {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
