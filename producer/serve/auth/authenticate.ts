/** Decides who sends a request, before its body is read. */
import type { IncomingMessage } from 'node:http'
import { Refusal } from '../refusal.ts'
import { identityOf } from './tls.ts'
import { clientOf, type Token } from './tokens.ts'

/** Returns the name of the client. Throws, or rejects with, Refusal: 401, or 503 while a token cannot be verified. */
export type Authenticate = (request: IncomingMessage) => string | Promise<string>
/** Resolves with the name of the client whose token it is, or rejects as `Authenticate` does. */
export type Verify = (token: string) => Promise<string>

/** Any one of the methods is enough. A method that is not configured is null or false. */
export type Methods = { tokens: (() => Token[]) | null; verifyJwt: Verify | null; certificates: boolean }

const BEARER = /^Bearer +(\S+) *$/i
const SEND_TOKEN = 'send Authorization: Bearer TOKEN, with the token that the owner of this ingest gave you'
const SEND_CERTIFICATE = 'connect with a client certificate that the owner of this ingest accepts'

export function authenticator({ tokens, verifyJwt, certificates }: Methods): Authenticate {
  const isBearer = tokens !== null || verifyJwt !== null
  return ({ socket, headers: { authorization } }) => {
    const identity = certificates ? identityOf(socket) : null
    if (identity && identity.client !== null) return identity.client
    const [, token] = BEARER.exec(authorization ?? '') ?? []
    if (!isBearer || token === undefined) throw unidentified({ isBearer, certificates, authorization }, identity?.fault)
    const client = tokens && clientOf(tokens(), token)
    if (client !== null) return client
    if (verifyJwt) return verifyJwt(token)
    throw invalidToken('it is unknown')
  }
}

type Asked = { isBearer: boolean; certificates: boolean; authorization: string | undefined }

function unidentified({ isBearer, certificates, authorization }: Asked, fault: string | null | undefined): Refusal {
  const found = [
    ...(isBearer
      ? [`the header Authorization ${authorization === undefined ? 'is missing' : 'has another format'}`]
      : []),
    ...(certificates
      ? [fault ? `the client certificate is not accepted (${fault})` : 'there is no client certificate']
      : []),
  ]
  const remedies = [...(isBearer ? [SEND_TOKEN] : []), ...(certificates ? [SEND_CERTIFICATE] : [])]
  return unauthorized(isBearer ? 'Bearer' : 'Certificate', `${found.join(', and ')}; ${remedies.join('; or ')}`)
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
