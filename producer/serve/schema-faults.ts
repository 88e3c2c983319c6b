/** Converts Ajv's errors to faults: the path of a field and what it must be. Pure. */
import type { JsonSchema } from './event-schema.ts'
import type { Fault } from './exact-checks.ts'

/** The properties of an Ajv error (with `verbose`) that we use. */
export type SchemaError = {
  keyword: string
  instancePath: string
  params: Record<string, unknown>
  message?: string
  parentSchema?: JsonSchema
}

/** `path`: the field that holds the validated value, such as products[0]; empty for the whole event. */
export function schemaFault(error: SchemaError, path = ''): Fault {
  const { keyword, instancePath, params, message, parentSchema } = error
  if (keyword === 'required')
    return { field: fieldPath(path, `${instancePath}/${params.missingProperty}`), message: 'is required' }
  const description = parentSchema?.description
  return {
    field: fieldPath(path, instancePath) || 'event',
    message: description ? `must be ${description}` : (message ?? keyword),
  }
}

/** "order", "/products/0/price" → "order.products[0].price" */
function fieldPath(start: string, pointer: string): string {
  const names = pointer
    .split('/')
    .slice(1)
    .map(name => name.replaceAll('~1', '/').replaceAll('~0', '~'))
  return names.reduce(
    (path, name) => (/^\d+$/.test(name) ? `${path}[${name}]` : path === '' ? name : `${path}.${name}`),
    start,
  )
}
