/** JavaScript values as the text of PostgreSQL parameters. */

/** PostgreSQL's timestamps begin in 4714 BC; JavaScript's go on for longer in both directions. */
const EARLIEST = Date.UTC(-4712, 0, 1)
const LATEST = 8.64e15

/**
 * Milliseconds since the epoch → timestamptz text. Exact, unlike to_timestamp(double): year 9999 needs 58 bits of
 * microseconds. What lies beyond the calendar of either side becomes infinite.
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

/** An array parameter of numbers, decimals, times or booleans: pg would quote and escape each element for nothing. */
export function plainArray(values: readonly (number | bigint | string | boolean | null)[]): string {
  let text = '{'
  for (let i = 0; i < values.length; i++) text += i === 0 ? (values[i] ?? 'NULL') : `,${values[i] ?? 'NULL'}`
  return `${text}}`
}

/** jsonb and text hold neither U+0000 nor lone surrogates; headers of a dead record may: they become U+FFFD. */
export function storableText(text: string): string {
  return text.replaceAll('\0', '\uFFFD').toWellFormed()
}
