/** Formats JavaScript values as text parameters of PostgreSQL. */

/** The first year that PostgreSQL's timestamps cover whole, and the last moment of JavaScript's Date. */
const EARLIEST = Date.UTC(-4712, 0, 1)
const LATEST = 8.64e15

/**
 * Converts ms since the epoch to timestamptz text. Unlike to_timestamp(double) it is exact: year 9999 needs 58 bits of
 * microseconds. Times beyond the range of PostgreSQL or JavaScript become infinite.
 */
export function timestampText(ms: number): string {
  if (ms < EARLIEST) return '-infinity'
  if (ms > LATEST) return 'infinity'
  const date = new Date(ms)
  const year = date.getUTCFullYear()
  const iso = date.toISOString()
  if (year >= 1 && year <= 9999) return iso
  const rest = iso.replace(/^[+-]?\d+/, '')
  return year > 0 ? `${year}${rest}` : `${String(1 - year).padStart(4, '0')}${rest} BC`
}

/** Formats an array of numbers, decimals, times or booleans; pg would needlessly quote and escape each element. */
export function plainArray(values: readonly (number | bigint | string | boolean | null)[]): string {
  let text = '{'
  for (let i = 0; i < values.length; i++) text += i === 0 ? (values[i] ?? 'NULL') : `,${values[i] ?? 'NULL'}`
  return `${text}}`
}

/** Replaces U+0000 and lone surrogates, which jsonb and text cannot store, by U+FFFD. A dead record or a path may have them. */
export function storableText(text: string): string {
  return text.replaceAll('\0', '\uFFFD').toWellFormed()
}
