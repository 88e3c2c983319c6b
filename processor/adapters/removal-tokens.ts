/** Checks the operator's tokens (pipeline/removal-tokens.ts). */
import { readFile } from 'node:fs/promises'
import { type RemovalKeys, removalAudience } from '#pipeline/removal-tokens.ts'

/** Asymmetric only: with HMAC, the public key would be the secret. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']
/** How far the clocks of the API server and of the node may differ. */
const CLOCK_TOLERANCE_SECONDS = 30

/** Resolves with null if the token allows the removal of this member, otherwise with the HTTP status and the reason. */
export type Authorize = (token: string, member: string) => Promise<{ status: number; message: string } | null>

/** Reads the file for each token: the kubelet replaces it when the API server has other keys. */
export function removalTokens(keysFile: string, pipeline: { namespace: string; name: string }): Authorize {
  return async (token, member) => {
    const trusted = await keysOf(keysFile)
    if (trusted === null) {
      const message = 'this worker has no keys to check the token with; the operator writes them into its ConfigMap'
      return { status: 503, message }
    }
    const { createLocalJWKSet, jwtVerify } = await import('jose')
    try {
      await jwtVerify(token, createLocalJWKSet({ keys: trusted.keys as never }), {
        subject: trusted.subject,
        audience: removalAudience(pipeline, member),
        algorithms: ALGORITHMS,
        clockTolerance: CLOCK_TOLERANCE_SECONDS,
        requiredClaims: ['exp'],
      })
      return null
    } catch {
      return { status: 401, message: 'the token is not one of the operator for the removal of this member' }
    }
  }
}

/** Resolves with null if there are no keys. */
async function keysOf(file: string): Promise<RemovalKeys | null> {
  try {
    const { subject, keys } = JSON.parse(await readFile(file, 'utf8')) as Partial<RemovalKeys>
    return typeof subject === 'string' && Array.isArray(keys) && keys.length > 0 ? { subject, keys } : null
  } catch {
    return null
  }
}
