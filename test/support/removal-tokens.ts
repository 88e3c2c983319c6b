/** Keys and tokens of an API server, for tests of the removal of dead members without one. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { removalAudience } from '#pipeline/removal-tokens.ts'
import { ownFolder } from './folder.ts'

const SUBJECT = 'system:serviceaccount:salespipeline-system:salespipeline-operator'

export type Claims = { subject?: string; audience?: string; expiresIn?: string; kid?: string }

/** `keysFile`: what the operator gives workers. `token`: signed for the removal of a member of `pipeline`, unless changed. */
export async function apiServerKeys(pipeline: { namespace: string; name: string }) {
  const [own, foreign] = await Promise.all([generateKeyPair('ES256'), generateKeyPair('ES256')])
  const keys = [{ ...(await exportJWK(own.publicKey)), kid: 'a', alg: 'ES256', use: 'sig' }]
  const keysFile = join(ownFolder('removal'), 'removal-keys.json')
  writeFileSync(keysFile, JSON.stringify({ subject: SUBJECT, keys }))
  const sign = (member: string, { subject, audience, expiresIn, kid }: Claims, key = own.privateKey) =>
    new SignJWT({})
      .setProtectedHeader({ alg: 'ES256', kid: kid ?? 'a' })
      .setSubject(subject ?? SUBJECT)
      .setAudience([audience ?? removalAudience(pipeline, member)])
      .setIssuedAt()
      .setExpirationTime(expiresIn ?? '10m')
      .sign(key)
  return {
    keysFile,
    keys,
    subject: SUBJECT,
    token: (member: string, claims: Claims = {}) => sign(member, claims),
    /** The same claims, signed with a key that is not the API server's. */
    forged: (member: string) => sign(member, {}, foreign.privateKey),
  }
}
