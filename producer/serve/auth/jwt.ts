/** Verifies JWTs of an identity provider (OpenID Connect, OAuth 2.0). Only loaded if they are configured. */
import { createRemoteJWKSet, errors, jwtVerify } from 'jose'
import { withoutAddresses } from '#common/addresses.ts'
import { innermostText } from '#common/error-causes.ts'
import { type Refusal, tryLater } from '../refusal.ts'
import { invalidToken, type Verify } from './authenticate.ts'
import { isClientName, MAX_CLIENT_NAME } from './client-name.ts'

export type JwtOptions = {
  issuer: string
  audience: string
  /** Address of the provider's public keys. */
  jwksUrl: string
  /** Claim that names the client. */
  clientClaim: string
}

/** Asymmetric only: with HMAC, the public key would be the secret. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']
/** How far the clocks of the provider and of this machine may differ. */
const CLOCK_TOLERANCE_SECONDS = 30
const FETCH_WITHIN_MS = 3000

/** Faults of the token. All other errors mean that the keys cannot be fetched. */
const INVALID: Record<string, string> = {
  [errors.JWTExpired.code]: 'it has expired',
  [errors.JWTInvalid.code]: 'it is not a JWT',
  [errors.JWSInvalid.code]: 'it is not a JWT',
  [errors.JOSEAlgNotAllowed.code]: 'its algorithm is not allowed',
  [errors.JOSENotSupported.code]: 'its algorithm is not supported',
  [errors.JWKSNoMatchingKey.code]: 'its key is none of the issuer’s keys',
  [errors.JWKSMultipleMatchingKeys.code]: 'it does not name its key (kid)',
  [errors.JWSSignatureVerificationFailed.code]: 'its signature is wrong',
}

export function jwtVerifier({ issuer, audience, jwksUrl, clientClaim }: JwtOptions): Verify {
  const keys = createRemoteJWKSet(new URL(jwksUrl), { timeoutDuration: FETCH_WITHIN_MS })
  const options = {
    issuer,
    audience,
    algorithms: ALGORITHMS,
    clockTolerance: CLOCK_TOLERANCE_SECONDS,
    requiredClaims: ['exp', clientClaim],
  }
  return async token => {
    const { payload } = await jwtVerify(token, keys, options).catch((error: Error) => {
      throw refusalOf(error)
    })
    const client = payload[clientClaim]
    if (isClientName(client)) return client
    throw invalidToken(`its claim ${clientClaim} is not a text of at most ${MAX_CLIENT_NAME} characters`)
  }
}

function refusalOf(error: Error): Refusal {
  if (error instanceof errors.JWTClaimValidationFailed) {
    const { claim, reason } = error
    return invalidToken(`its claim ${claim} is ${reason === 'missing' ? 'missing' : 'wrong'}`)
  }
  const { code } = error as { code?: string }
  if (code !== undefined && Object.hasOwn(INVALID, code)) return invalidToken(INVALID[code]!)
  const message = `the keys of the token’s issuer cannot be fetched (${withoutAddresses(innermostText(error))}); nothing was sent. Send the request again later`
  return tryLater(503, message, 5)
}
