/** Strict objects: at every level of the spec, the message for an unknown field lists the allowed ones. */
import { z } from 'zod'

export function object<Shape extends z.core.$ZodShape>(shape: Shape) {
  const allowed = Object.keys(shape).join(', ')
  return z.strictObject(shape, {
    error: issue => {
      if (issue.code === 'unrecognized_keys') return `unknown field; remove it or use one of: ${allowed}`
      if (issue.code === 'invalid_type') return `must be a mapping with these fields: ${allowed}`
      return undefined
    },
  })
}

/** Returns an object that may be omitted as a whole: the defaults of its fields then apply. */
export function optionalObject<Shape extends z.core.$ZodShape>(shape: Shape) {
  return object(shape).prefault({} as never)
}
