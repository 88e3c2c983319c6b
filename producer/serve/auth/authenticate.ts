/** Decides who sends a request, before its body is read. */
import type { IncomingMessage } from 'node:http'
import { Refusal } from '../refusal.ts'
import { clientOf, type Token } from './tokens.ts'

/** Returns the name of the client. Throws, or rejects with, Refusal: 401, or 503 while a token cannot be verified. */
export type Authenticate = (request: IncomingMessage) => string | Promise<string>
/** Resolves with the name of the client whose token it is, or rejects as `Authenticate` does. */
export type Verify = (token: string) => Promise<string>

/** A method that is not configured is null. */
export type Methods = { tokens: (() => Token[]) | null; verifyJwt: Verify | null }

const BEARER = /^Bearer +(\S+) *$/i

export function authenticator({ tokens, verifyJwt }: Methods): Authenticate {
  return ({ headers: { authorization } }) => {
    const [, token] = BEARER.exec(authorization ?? '') ?? []
    if (token === undefined)
      throw unauthorized(
        'Bearer',
        `the header Authorization ${authorization === undefined ? 'is missing' : 'has another format'}; send Authorization: Bearer TOKEN, with the token that the owner of this ingest gave you`,
      )
    const client = tokens && clientOf(tokens(), token)
    if (client !== null) return client
    if (verifyJwt) return verifyJwt(token)
    throw invalidToken('it is unknown')
  }
}

export function invalidToken(reason: string): Refusal {
  return unauthorized(
    'Bearer error="invalid_token"',
    `the token in the header Authorization is not valid: ${reason}. Ask the owner of this ingest for a new one`,
  )
}

function unauthorized(challenge: string, message: string): Refusal {
  return new Refusal(401, message, { 'www-authenticate': challenge })
}
