/** Finds what failed in errors that libraries nest: as causes, and as parts of an AggregateError. */
import { serverText } from './redact.ts'

/** A library that nests deeper, or in a circle, gains nothing. */
const MAX_DEPTH = 8

/** Returns the error and everything nested in it, and which of them hold no other. */
export function nestedErrors(error: unknown, depth = 0): { all: unknown[]; innermost: unknown[] } {
  const inner = depth < MAX_DEPTH ? partsOf(error) : []
  if (inner.length === 0) return { all: [error], innermost: [error] }
  const nested = inner.map(part => nestedErrors(part, depth + 1))
  return {
    all: [error, ...nested.flatMap(({ all }) => all)],
    innermost: nested.flatMap(({ innermost }) => innermost),
  }
}

function partsOf(error: unknown): unknown[] {
  if (error instanceof AggregateError && error.errors.length > 0) return error.errors
  const { cause } = (error ?? {}) as { cause?: unknown }
  return cause instanceof Error ? [cause] : []
}

/** Returns the messages of the innermost errors, which say what happened, without credentials. */
export function innermostText(error: unknown): string {
  const messages = nestedErrors(error).innermost.map(e => (e as Error | undefined)?.message ?? String(e))
  return serverText([...new Set(messages)].join('; '))
}
