/** Reads a program's settings from environment variables and reports all faults at once. */
import { UsageError } from '#pipeline/user-error.ts'

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const

/** The operator sets it for its pods: their document has passed the API server, which also stores older documents. */
export const ADMITTED = 'SPEC_ADMITTED'

export function isAdmitted(env: NodeJS.ProcessEnv): boolean {
  return env[ADMITTED] === 'true'
}

export class Environment {
  /** One message per fault. */
  readonly faults: string[] = []
  readonly #env: NodeJS.ProcessEnv

  constructor(env: NodeJS.ProcessEnv) {
    this.#env = env
  }

  /** Returns a variable that must be set. */
  text(name: string): string {
    const value = this.#env[name] ?? ''
    if (value === '') this.faults.push(`${name} is not set`)
    return value
  }

  oneOf<T extends string>(name: string, allowed: readonly T[], fallback: T): T {
    const value = (this.#env[name] ?? fallback) as T
    if (!allowed.includes(value)) this.faults.push(`${name} must be one of ${allowed.join(', ')}, not "${value}"`)
    return value
  }

  /** Returns false unless the variable is true. */
  flag(name: string): boolean {
    return this.oneOf(name, ['true', 'false'], 'false') === 'true'
  }

  integer(name: string, fallback: number, min: number, max: number): number {
    const value = Number(this.#env[name] ?? fallback)
    if (!Number.isInteger(value) || value < min || value > max)
      this.faults.push(`${name} must be a whole number from ${min} to ${max}, not "${this.#env[name]}"`)
    return value
  }

  /** Throws a UsageError that lists all faults. */
  check(): void {
    if (this.faults.length > 0) throw new UsageError(this.faults.join('\n'))
  }
}
