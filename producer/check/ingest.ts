/** A client of the REST ingest. */
import { type Attempt, CheckFailed, causeOf } from './waiting.ts'

/** Environment variable with the token of the client. */
export const TOKEN_VARIABLE = 'INGEST_TOKEN'

export type Position = { partition: number; offset: number }

type Reply = { status: number; body: { error?: string; reasons?: string[]; faults?: Fault[]; offsets?: Position[] } }
type Fault = { field: string; message: string }

export async function checkReady(url: string, withinMs: number): Promise<Attempt<true>> {
  const reply = await request(`${url}/readyz`, {}, withinMs)
  if ('pending' in reply) return reply
  const { status, body } = reply.found
  return status === 200 ? { found: true } : { pending: `HTTP ${status}: ${body.reasons?.join('; ') ?? reasonIn(body)}` }
}

type Sale = { topic: string; json: string /** Bearer token of the client, if it has one. */; token: string | undefined }

/** Throws CheckFailed if the ingest would refuse the same sale again. */
export async function send(url: string, { topic, json, token }: Sale, withinMs: number): Promise<Attempt<Position>> {
  const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) }
  const reply = await request(`${url}/${topic}`, { method: 'POST', body: json, headers }, withinMs)
  if ('pending' in reply) return reply
  const { status, body } = reply.found
  const position = body.offsets?.[0]
  if (status === 202 && position) return { found: position }
  const response = `HTTP ${status}: ${reasonIn(body)}`
  if (status === 429 || status >= 500) return { pending: response }
  if (status === 401)
    throw new CheckFailed(
      `${url}/${topic} does not accept this client: ${response}. Set ${TOKEN_VARIABLE} or --token-file`,
    )
  throw new CheckFailed(
    `${url}/${topic} refuses the sale: ${response}. Check that the ingest uses the same SalesPipeline file as --file`,
  )
}

async function request(url: string, init: RequestInit, withinMs: number): Promise<Attempt<Reply>> {
  try {
    const response = await fetch(url, { ...init, signal: AbortSignal.timeout(withinMs) })
    const text = await response.text()
    return { found: { status: response.status, body: bodyOf(text) } }
  } catch (error) {
    return { pending: `no response (${causeOf(error)}). Check that the ingest is ready and that --url is its address` }
  }
}

/** Parses a JSON body; a proxy may answer with another format, whose beginning then is the error. */
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
