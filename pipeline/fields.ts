/** The fields of a document, and their decimals. */
import { DEFAULT_DECIMAL_SCALE } from './limits.ts'
import type { Field, Spec } from './schema.ts'

/** Returns the number of decimals of a field's values. */
export const scaleOf = ({ scale, type }: Field) => scale ?? (type === 'decimal' ? DEFAULT_DECIMAL_SCALE : 0)

/** Returns the fields of the event and, with explode, those of its lines. */
export function allFields(spec: Spec): Field[] {
  return [...spec.event.fields, ...(spec.event.explode?.fields ?? [])]
}

/** Returns the function from a field's name to its decimals. The field must exist. */
export function scalesOf(spec: Spec): (field: string) => number {
  const scales = new Map(allFields(spec).map(field => [field.name, scaleOf(field)]))
  return name => scales.get(name)!
}
