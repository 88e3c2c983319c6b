/** The REST ingest as its clients see it. */
import { type Answer, CheckFailed, causeOf } from './waiting.ts'

export type Place = { partition: number; offset: number }

type Reply = { status: number; body: { error?: string; reasons?: string[]; faults?: Fault[]; offsets?: Place[] } }
type Fault = { field: string; message: string }

export async function askReady(url: string, withinMs: number): Promise<Answer<true>> {
  const reply = await request(`${url}/readyz`, {}, withinMs)
  if ('waitsFor' in reply) return reply
  const { status, body } = reply.found
  return status === 200
    ? { found: true }
    : { waitsFor: `it answers ${status}: ${body.reasons?.join('; ') ?? reasonIn(body)}` }
}

/** Throws CheckFailed when the same sale would be refused again. */
export async function send(url: string, topic: string, json: string, withinMs: number): Promise<Answer<Place>> {
  const headers = { 'content-type': 'application/json' }
  const reply = await request(`${url}/${topic}`, { method: 'POST', body: json, headers }, withinMs)
  if ('waitsFor' in reply) return reply
  const { status, body } = reply.found
  const place = body.offsets?.[0]
  if (status === 202 && place) return { found: place }
  const told = `it answers ${status}: ${reasonIn(body)}`
  if (status === 429 || status >= 500) return { waitsFor: told }
  throw new CheckFailed(`${url}/${topic} refuses the sale: ${told}. Does the ingest read the same document as --file?`)
}

async function request(url: string, init: RequestInit, withinMs: number): Promise<Answer<Reply>> {
  try {
    const answer = await fetch(url, { ...init, signal: AbortSignal.timeout(withinMs) })
    const text = await answer.text()
    return { found: { status: answer.status, body: bodyOf(text) } }
  } catch (error) {
    return { waitsFor: `no answer (${causeOf(error)}): is the pod of the ingest ready, and --url its Service?` }
  }
}

/** A proxy's page is no JSON. */
function bodyOf(text: string): Reply['body'] {
  try {
    return Object(JSON.parse(text))
  } catch {
    return { error: text.slice(0, 200) }
  }
}

function reasonIn({ error = 'no reason given', faults = [] }: Reply['body']): string {
  return [error, ...faults.map(({ field, message }) => `${field} ${message}`)].join('; ')
}
