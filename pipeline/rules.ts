/**
 * What the CRD needs beyond types: for each check of a field the same check in CEL, with the same sentence, so that the
 * API server's answer reads as ours; and how lists are merged. zod's registry carries it to `z.toJSONSchema`.
 */
import { z } from 'zod'

/** One entry of `x-kubernetes-validations`. */
export type Rule = { rule: string; message: string }

declare module 'zod' {
  interface GlobalMeta {
    rules?: Rule[]
    /** Merged by this field, which no two items share. */
    listKey?: string
    /** No item stands there twice. */
    listSet?: boolean
    maxProperties?: number
    /** What the reference page calls values of this kind. It describes objects of one label once. */
    label?: string
    /** For the reference page. zod drops JSON Schema's own `examples` from fields that it transforms. */
    example?: unknown
    /** Bounds that JSON Schema cannot express, in words. */
    bounds?: string
  }
}

/** A string of at most `max` characters that matches. The API server reads the pattern as RE2: no look-around. */
export function text(pattern: RegExp, message: string, max: number) {
  return z
    .string()
    .max(max, { error: message, abort: true })
    .regex(pattern, message)
    .meta({ rules: [{ rule: matches(pattern), message }] })
}

/** Further refuses some words. */
export function noneOf(schema: ReturnType<typeof text>, words: readonly string[], message: string) {
  const rules = schema.meta()?.rules ?? []
  const rule = `!(self in [${words.map(word => `'${word}'`).join(', ')}])`
  return schema
    .refine(value => !words.includes(value), { error: message })
    .meta({ rules: [...rules, { rule, message }] })
}

/** An array whose items differ in one field. */
export function keyed<Item extends z.ZodType>(item: Item, key: string, min: number, max: number) {
  // A check that came after meta would drop it.
  return z.array(item).min(min).max(max).meta({ listKey: key })
}

/** The CEL expression for "self matches"; raw strings need no second level of escapes. */
export function matches(pattern: RegExp): string {
  return `self.matches(r'${pattern.source}')`
}
