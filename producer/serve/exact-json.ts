/** JSON with the digits that were sent: 1.10 stays 1.10. Pure. */
import type { CompiledSpec } from '#pipeline/compiled-spec.ts'

/** Parsed JSON whose numbers are replaced by their original text. */
export type Exact = null | boolean | string | NumberText | Exact[] | { [name: string]: Exact }

export class NumberText {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

/** Throws SyntaxError. It is recursive, so check the nesting depth first. */
export function parseExact(text: string): Exact {
  // The source text of a primitive value is newer than TypeScript's declaration of JSON.parse.
  const reviver = (_name: string, value: unknown, context?: { source: string }) =>
    typeof value === 'number' ? new NumberText(context!.source) : value
  return JSON.parse(text, reviver) as Exact
}

/**
 * Returns a function that says whether a value that becomes a part of the sale is a number. If not, the parsed JSON is
 * exact: to parse it with the text of its numbers would only take several times as long.
 */
export function digitsNeeded({ fields, spec: { event } }: CompiledSpec): (plain: unknown) => boolean {
  const paths = [event.id, event.time.path].filter(path => path !== undefined).map(path => path.split('.'))
  const own = [...paths, ...fields.filter(field => !field.line).map(field => field.path)]
  const ofLines = fields.filter(field => field.line).map(field => field.path)
  const linesPath = event.explode?.path.split('.')
  const hasNumber = (holder: unknown, paths: string[][]) =>
    paths.some(path => typeof (valueAt(holder as Exact, path) as unknown) === 'number')
  return plain => {
    if (hasNumber(plain, own)) return true
    const lines = linesPath && (valueAt(plain as Exact, linesPath) as unknown)
    return Array.isArray(lines) && lines.some(line => hasNumber(line, ofLines))
  }
}

export function valueAt(event: Exact, path: string[]): Exact {
  let value: Exact | undefined = event
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return null
    value = (value as { [name: string]: Exact })[name]!
  }
  return value
}
