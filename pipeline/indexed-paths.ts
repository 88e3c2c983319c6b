/**
 * Paths with an array index, such as line_items.0.title. No path leads into an array, so the value is always missing. Documents
 * that the API server stored before this check existed still run: an object may have the key 0.
 */
import type { Fault } from './faults.ts'
import type { Spec } from './schema.ts'

/** A number of up to three digits after the first name, or brackets at the end of a name. Keys such as 2026 are allowed. */
export const INDEXED_PATH = /\.\d{1,3}(\.|$)|\[[^\].]*\](\.|$)/

export const INDEX_REMEDY =
  'has an array index, but paths only lead through objects. To read the elements of an array, set spec.event.explode'

/** Returns all faults, each with the path of the field to change. */
export function indexedPathFaults({ event }: Spec): Fault[] {
  const { id, time, fields, explode } = event
  const at = (list: typeof fields, ...where: string[]) =>
    list.map((field, i): [Fault['path'], string | undefined] => [['event', ...where, i, 'path'], field.path])
  const paths: [Fault['path'], string | undefined][] = [
    [['event', 'id'], id],
    [['event', 'time', 'path'], time.path],
    ...at(fields, 'fields'),
    [['event', 'explode', 'path'], explode?.path],
    ...at(explode?.fields ?? [], 'explode', 'fields'),
  ]
  return paths
    .filter(([, text]) => text !== undefined && INDEXED_PATH.test(text))
    .map(([path, text]) => ({ path, message: `"${text}" ${INDEX_REMEDY}` }))
}
