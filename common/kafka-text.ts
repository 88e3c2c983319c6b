/** Texts of errors of Kafka clients. */
import { innermostText, nestedErrors } from './error-causes.ts'
import { serverText } from './redact.ts'

const UNRESOLVED = new Set(['ENOTFOUND', 'EAI_AGAIN'])

/**
 * Returns why Kafka cannot be used, without credentials. A name that cannot be resolved often is in no document: clients connect
 * first to `bootstrapServers`, and then to the names with which the brokers answer.
 */
export function kafkaText(error: unknown): string {
  const found = nestedErrors(error).innermost.find(isUnresolved)
  if (!found) return innermostText(error)
  const { hostname, code } = found
  return serverText(
    `the host name ${hostname} cannot be resolved (${code}); correct it in spec.source.bootstrapServers, or in advertised.listeners of the broker, which sends this name to its clients`,
  )
}

function isUnresolved(error: unknown): error is { hostname: string; code: string } {
  const { hostname, code } = (error ?? {}) as { hostname?: unknown; code?: unknown }
  return typeof hostname === 'string' && typeof code === 'string' && UNRESOLVED.has(code)
}
