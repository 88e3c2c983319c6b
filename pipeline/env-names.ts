/** Environment variables that nobody may set for the pods of a pipeline. */

/** They decide which code a process loads (NODE_*, LD_*), or we set them: settings of our programs, Secrets and telemetry. */
export const RESERVED_ENV_PREFIXES = ['NODE_', 'LD_', 'SECRET_', 'OTEL_', 'MEMBERS_'] as const
export const RESERVED_ENV = [
  'SPEC_ADMITTED',
  'WORKER_ID',
  'HTTP_HOST',
  'HTTP_PORT',
  'CPU_MILLIS',
  'MEMORY_LIMIT',
  'KAFKA_TOKEN_FILE',
  'SECRETS_DIR',
  'SESSION_TIMEOUT_MS',
  'COMMIT_LOG',
] as const

export const RESERVED_ENV_RULE = `must not be a variable that the operator or our programs use, nor begin with ${RESERVED_ENV_PREFIXES.join(', ')}`

export function isReservedEnv(name: string): boolean {
  return (
    RESERVED_ENV_PREFIXES.some(prefix => name.startsWith(prefix)) || (RESERVED_ENV as readonly string[]).includes(name)
  )
}
