/** Strict objects whose error for an unknown field says what is allowed, at every level of the spec. */
import { z } from 'zod'

export function object<Shape extends z.core.$ZodShape>(shape: Shape) {
  const allowed = Object.keys(shape).join(', ')
  return z.strictObject(shape, {
    error: issue => {
      if (issue.code === 'unrecognized_keys') return `unknown field; allowed here: ${allowed}`
      if (issue.code === 'invalid_type') return `must be a mapping with: ${allowed}`
      return undefined
    },
  })
}

/** An object that may be left out whole: its fields' own defaults then apply. */
export function optionalObject<Shape extends z.core.$ZodShape>(shape: Shape) {
  return object(shape).prefault({} as never)
}
