/** A response other than 202, with the reason for the client. */
export class Refusal extends Error {
  readonly status: number
  readonly headers: Record<string, string>

  constructor(status: number, message: string, headers: Record<string, string> = {}) {
    super(message)
    this.status = status
    this.headers = headers
  }
}

/** `retryAfter`: seconds after which the same request may succeed. */
export function tryLater(status: 429 | 503, message: string, retryAfter: number): Refusal {
  return new Refusal(status, message, { 'retry-after': String(retryAfter) })
}

/** Maximum number of characters that a response quotes from a request. */
const MAX_QUOTED = 100

/** Shortens a text of the client: a response must not grow with the request. */
export function quoted(text: string): string {
  return text.length <= MAX_QUOTED ? text : `${text.slice(0, MAX_QUOTED)}…`
}
