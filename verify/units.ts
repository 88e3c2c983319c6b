/** Durations and sizes as written in a document: `1h30m`, `250ms`, `64Ki`. A bare number is already in the base unit. */

const MILLISECONDS: Record<string, number> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
}

const BYTES: Record<string, number> = {
  '': 1,
  k: 1e3,
  K: 1e3,
  M: 1e6,
  G: 1e9,
  Ki: 1024,
  Mi: 1024 ** 2,
  Gi: 1024 ** 3,
}

/** Returns the milliseconds of a duration. Throws an Error that names `path` when the text is not a duration. */
export function milliseconds(path: string, text: string | number): number {
  if (typeof text === 'number') return text
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d|w))+$/.test(text))
    throw new Error(`${path} must be a duration such as 30s or 5m; found "${text}"`)
  let total = 0
  for (const [, count, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d|w)/g)) {
    total += Number(count) * MILLISECONDS[unit!]!
  }
  return total
}

/** Returns the bytes of a size. Throws an Error that names `path` when the text is not a size. */
export function bytes(path: string, text: string | number): number {
  if (typeof text === 'number') return text
  const match = /^(\d+)([kKMG]i?)?$/.exec(text)
  const unit = BYTES[match?.[2] ?? '']
  if (!match || unit === undefined) throw new Error(`${path} must be a size such as 64Ki or 1Gi; found "${text}"`)
  return Number(match[1]) * unit
}
