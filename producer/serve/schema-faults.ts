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

export function schemaFault({ keyword, instancePath, params, message, parentSchema }: SchemaError): Fault {
  if (keyword === 'required')
    return { field: fieldPath(`${instancePath}/${params.missingProperty}`), message: 'is required' }
  const description = parentSchema?.description
  return {
    field: fieldPath(instancePath) || 'event',
    message: description ? `must be ${description}` : (message ?? keyword),
  }
}

/** "/products/0/price" → "products[0].price" */
function fieldPath(pointer: string): string {
  const names = pointer
    .split('/')
    .slice(1)
    .map(name => name.replaceAll('~1', '/').replaceAll('~0', '~'))
  return names.reduce(
    (path, name) => (/^\d+$/.test(name) ? `${path}[${name}]` : path === '' ? name : `${path}.${name}`),
    '',
  )
}
