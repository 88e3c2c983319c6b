/**
 * How the operator proves to a worker that it may remove a dead member of the consumer group. The API server signs a token of
 * the operator's ServiceAccount for each removal, and the operator gives workers the API server's public keys as a file. So
 * nobody needs a shared secret, and a token that somebody else gets hold of allows nothing but the removal it was made for.
 */

/** The file, beside the configuration file of a worker. */
export const REMOVAL_KEYS = 'removal-keys.json'

/** Whom a worker obeys: the ServiceAccount (claim sub) and the public keys of the API server as a JSON Web Key Set. */
export type RemovalKeys = { subject: string; keys: object[] }

/** Audience (claim aud) of the token that removes this member from the group of this pipeline. */
export function removalAudience({ namespace, name }: { namespace: string; name: string }, member: string): string {
  return `salespipeline.dev/members/${namespace}/${name}/${encodeURIComponent(member)}`
}

/** The claim sub of a ServiceAccount's tokens. */
export function serviceAccountSubject(namespace: string, account: string): string {
  return `system:serviceaccount:${namespace}:${account}`
}
