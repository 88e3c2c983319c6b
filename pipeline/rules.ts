/**
 * Metadata that the CRD needs beyond types: for each check of a field the same check in CEL with the same message, and
 * how lists are merged. zod's registry carries it to `z.toJSONSchema`.
 */
import { z } from 'zod'

/** One entry of `x-kubernetes-validations`. */
export type Rule = { rule: string; message: string }

declare module 'zod' {
  interface GlobalMeta {
    rules?: Rule[]
    /** Items of the list are merged by this field, which is unique in the list. */
    listKey?: string
    /** The items of the list are unique. */
    listSet?: boolean
    maxProperties?: number
    /** An object with fields of Kubernetes, which the API server checks where they are used. */
    free?: boolean
    /** An integer or text, as Kubernetes writes quantities. */
    intOrString?: boolean
    /** Length of a text that the API server's schema allows, if the rules about it are costly. */
    lengthBound?: number
    /** The default holds only outside Kubernetes, where the field is required. */
    localDefault?: boolean
    /** Name of this kind of value on the reference page, which describes objects with the same label only once. */
    label?: string
    /** Shown on the reference page. zod drops JSON Schema's own `examples` from fields that it transforms. */
    example?: unknown
    /** Bounds that JSON Schema cannot express, in words. */
    bounds?: string
  }
}

/** Returns a string of at most `max` characters that matches. The API server uses RE2, so `pattern` has no look-around. */
export function text(pattern: RegExp, message: string, max: number) {
  return z
    .string()
    .max(max, { error: message, abort: true })
    .regex(pattern, message)
    .meta({ rules: [{ rule: matches(pattern), message }] })
}

/** Returns the schema with a further check that refuses `words`. */
export function noneOf(schema: ReturnType<typeof text>, words: readonly string[], message: string) {
  const rules = schema.meta()?.rules ?? []
  const rule = `!(self in [${words.map(word => `'${word}'`).join(', ')}])`
  return schema
    .refine(value => !words.includes(value), { error: message })
    .meta({ rules: [...rules, { rule, message }] })
}

/** Returns an array whose items differ in the field `key`. */
export function keyed<Item extends z.ZodType>(item: Item, key: string, min: number, max: number) {
  // meta comes last, because a later check would drop it.
  return z.array(item).min(min).max(max).meta({ listKey: key })
}

/** Returns the CEL expression for "self matches". A raw string needs no second level of escapes. */
export function matches(pattern: RegExp): string {
  return `self.matches(r'${pattern.source}')`
}
