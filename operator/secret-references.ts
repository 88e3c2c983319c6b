/** Which Secrets a pipeline's spec takes variables of its pods from. */

type Document = { pods?: { env?: unknown } } | null | undefined
type Variable = { valueSecretRef?: { name?: unknown } } | null

/** Names of Secrets in `spec.pods.env`. Reads the spec as it is stored, so that one that our checks reject is found as well. */
export function envSecretsOf(spec: unknown): Set<string> {
  const env = (spec as Document)?.pods?.env
  const names = Array.isArray(env) ? env.map((variable: Variable) => variable?.valueSecretRef?.name) : []
  return new Set(names.filter(name => typeof name === 'string'))
}
