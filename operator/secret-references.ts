/** Which Secrets a pipeline's spec refers to. */

/** Every reference of the schema is an object with a name in a field such as `passwordSecretRef`. */
const REFERENCE = /SecretRef$/

/**
 * Names of the Secrets that a spec refers to. Reads the document as it is stored, so that a spec that our checks reject
 * is found as well. No other value counts, such as a topic that has the name of a Secret.
 */
export function referencedSecrets(document: unknown): Set<string> {
  if (typeof document !== 'object' || document === null) return new Set()
  const names = Object.entries(document).flatMap(([field, value]) => {
    const name = REFERENCE.test(field) ? (value as { name?: unknown } | null)?.name : undefined
    return typeof name === 'string' ? [name] : [...referencedSecrets(value)]
  })
  return new Set(names)
}
