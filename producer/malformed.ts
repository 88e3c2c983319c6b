/** Records of broken, careless and hostile clients. Most must become dead letters; a few are unusual but valid. */
import type { Profile, Sale } from './sale.ts'

type Malformation = (sale: Sale, fields: Profile['fields']) => string | Buffer | null

/** More levels than the engine accepts, which is 500. */
const DEEP = 600

export const MALFORMATIONS: Record<string, Malformation> = {
  tombstone: () => null,
  'empty value': () => '',
  'cut off': ({ json }) => json.slice(0, -9),
  'not JSON': ({ id }) => `sale ${id}`,
  'not an object': ({ json }) => `[${json}]`,
  'byte order mark': ({ json }) => `\uFEFF${json}`,
  'no amount': ({ json }, { amount }) => without(json, amount),
  'no id': ({ json }, { id }) => without(json, id),
  'no time': ({ json }, { time }) => without(json, time),
  'null amount': ({ json }, { amount }) => replace(json, amount, 'null'),
  'amount of a wrong type': ({ json }, { amount }) => replace(json, amount, '{"value":12.34}'),
  'amount with a comma': ({ json }, { amount }) => replace(json, amount, '"12,34"'),
  'too many decimals': ({ json }, { amount }) => replace(json, amount, '12.345'),
  'amount larger than a double can hold': ({ json }, { amount }) => replace(json, amount, '1e400'),
  'amount of 31 digits': ({ json }, { amount }) => replace(json, amount, '9'.repeat(31)),
  'NaN amount': ({ json }, { amount }) => replace(json, amount, 'NaN'),
  'number instead of text': ({ json }, { text }) => replace(json, text, '7'),
  'time written as words': ({ json }, { time }) => replace(json, time, '"yesterday"'),
  'date that does not exist': ({ json }, { time }) => replace(json, time, '"2026-02-30T12:00:00Z"'),
  'leap second': ({ json }, { time }) => replace(json, time, '"2016-12-31T23:59:60Z"'),
  'far future': ({ json }, { time }) => replace(json, time, '"9998-01-01T00:00:00Z"'),
  'invalid UTF-8': ({ json }, { text }) => latin1(replace(json, text, '"caf\u00e9 \u00ff"')),
  'lone surrogate': ({ json }, { text }) => replace(json, text, '"\\ud800"'),
  'NUL in a text': ({ json }, { text }) => replace(json, text, '"a\\u0000b"'),
  'text longer than a key may be': ({ json }, { text }) => replace(json, text, `"${'x'.repeat(2000)}"`),
  'deep nesting': ({ json }) => extended(json, `"extra":${'['.repeat(DEEP)}${']'.repeat(DEEP)}`),
  'prototype pollution': ({ json }) => extended(json, '"__proto__":{"amount":1},"constructor":{"prototype":null}'),
  'amount given twice, the last one is wrong': ({ json }, { amount }) => extended(json, `"${amount}":"no"`),
}

const VARIANTS = Object.values(MALFORMATIONS)

/** Returns a malformed record. `draw`, uniform in [0, 1), chooses the malformation. */
export function malform(sale: Sale, fields: Profile['fields'], draw: number): Buffer | null {
  const value = VARIANTS[Math.floor(draw * VARIANTS.length)]!(sale, fields)
  return typeof value === 'string' ? Buffer.from(value) : value
}

/** Matches the first member with this name. Our profiles write no whitespace and no escapes. */
function member(name: string): RegExp {
  return new RegExp(`"${name}":("[^"]*"|[^,}]+)`)
}

function replace(json: string, name: string, value: string): string {
  return json.replace(member(name), () => `"${name}":${value}`)
}

/** Renames the member instead of removing it, so that no comma is left over. */
function without(json: string, name: string): string {
  return json.replace(`"${name}":`, `"no_${name}":`)
}

function extended(json: string, members: string): string {
  return `${json.slice(0, -1)},${members}}`
}

/** Encodes characters beyond ASCII as single bytes, which is invalid UTF-8. */
function latin1(json: string): Buffer {
  return Buffer.from(json, 'latin1')
}
