/**
 * The forms of event times that a document allows (contract, section 5). Every text form is turned into RFC 3339 text, so
 * that one parser decides which dates exist.
 */
import type { Spec } from './schema.ts'

type Time = Spec['event']['time']

/** An epoch as the text of a number, or RFC 3339 text that may lack a zone. Its date may not exist. */
export type TimeText = { epoch: string } | { rfc3339: string }

/** Returns the text in a known form; null if it has another one. `pattern`: a regular expression of the form. */
type Form = { pattern: string; read(text: string): TimeText | null }

export const RECORD_TIMESTAMP = 'record-timestamp'

const DATE = '\\d{4}-\\d\\d-\\d\\d'
const OFFSET = '[+-]\\d\\d:\\d\\d'

const RFC3339 = formOf(`${DATE}[Tt ]\\d\\d:\\d\\d:\\d\\d(?:\\.\\d+)?(?:[Zz]|${OFFSET})?`, ([text]) => ({
  rfc3339: text!,
}))

const ISO8601 = formOf(
  `(${DATE})(?:[Tt ](\\d\\d:\\d\\d)(:\\d\\d(?:[.,]\\d+)?)?(?: ?(Z|z|UTC|GMT|[+-]\\d\\d(?::?\\d\\d)?))?)?`,
  ([, date, minutes = '00:00', seconds = ':00', zone = '']) => ({
    rfc3339: `${date}T${minutes}${seconds.replace(',', '.')}${zoneText(zone)}`,
  }),
)

const EPOCH = formOf('-?(?:0|[1-9]\\d*)(?:\\.\\d+)?(?:[eE][+-]?\\d+)?', ([text]) => ({ epoch: text! }))

/** "UTC" → "Z", "-0300" and "-03" → "-03:00" */
function zoneText(zone: string): string {
  if (/^[A-Za-z]*$/.test(zone)) return zone && 'Z'
  return `${zone.slice(0, 3)}:${zone.slice(3).replace(':', '') || '00'}`
}

/** Letters of a pattern; the number of S is the number of digits. Everything else in a pattern stands for itself. */
const LETTERS = /yyyy|MM|dd|HH|mm|ss|S+|XXX/g

/** Returns whether a pattern has the date, and no part twice. */
export function isCompletePattern(pattern: string): boolean {
  const parts = (pattern.match(LETTERS) ?? []).map(letters => (letters[0] === 'S' ? 'S' : letters))
  return ['yyyy', 'MM', 'dd'].every(part => parts.includes(part)) && new Set(parts).size === parts.length
}

/** Returns the form that a pattern such as dd/MM/yyyy HH:mm:ss describes. */
function patternForm(pattern: string): Form {
  const names: string[] = []
  const source = pattern.replace(/[-/.]/g, '\\$&').replace(LETTERS, letters => {
    names.push(letters[0] === 'S' ? 'S' : letters)
    return letters === 'XXX' ? `(Z|${OFFSET})` : `(\\d{${letters.length}})`
  })
  return formOf(source, ([, ...found]) => {
    const part = (name: string, absent: string) => found[names.indexOf(name)] ?? absent
    const clock = ['HH', 'mm', 'ss'].map(name => part(name, '00')).join(':')
    const date = `${part('yyyy', '')}-${part('MM', '')}-${part('dd', '')}`
    return { rfc3339: `${date}T${clock}.${part('S', '0')}${part('XXX', '')}` }
  })
}

/** Returns a time (ms since the epoch) as a pattern writes it. `zone`: of texts without one. */
export function patternText(pattern: string, time: number, zone = 'Z'): string {
  const isLocal = !pattern.includes('XXX') && zone.includes(':')
  const offset = isLocal ? Date.parse('1970-01-01T00:00:00Z') - Date.parse(`1970-01-01T00:00:00${zone}`) : 0
  const [date, clock] = new Date(time + offset).toISOString().slice(0, -1).split('T') as [string, string]
  const [yyyy, MM, dd] = date.split('-')
  const [HH, mm, ss, fraction] = clock.split(/[:.]/)
  const values: Record<string, string> = { yyyy: yyyy!, MM: MM!, dd: dd!, HH: HH!, mm: mm!, ss: ss!, XXX: 'Z' }
  return pattern.replace(
    LETTERS,
    letters => values[letters] ?? fraction!.slice(0, letters.length).padEnd(letters.length, '0'),
  )
}

function formOf(pattern: string, timeOf: (match: string[]) => TimeText): Form {
  const whole = new RegExp(`^(?:${pattern})$`)
  return {
    pattern,
    read(text) {
      const match = whole.exec(text)
      return match && timeOf(match)
    },
  }
}

export const FORMS: Record<string, Form> = { rfc3339: RFC3339, iso8601: ISO8601, epoch: EPOCH }

/** Returns the formats in the order in which they are tried. */
export function formatsOf({ format, formats }: Time): string[] {
  return formats ?? [format ?? 'rfc3339']
}

/** Returns whether the time may be a JSON number. */
export const readsNumbers = (time: Time) => formatsOf(time).includes('epoch')

/** Returns whether the time may be a string. A lone `format: epoch` accepts only numbers, `formats: [epoch]` both. */
export const readsTexts = ({ format }: Time) => format !== 'epoch' && format !== RECORD_TIMESTAMP

/** Returns whether RFC 3339 text always has its usual meaning: no pattern is tried before. */
export function readsRfc3339First(time: Time): boolean {
  const [first] = formatsOf(time).filter(format => format !== 'epoch')
  return first === 'rfc3339' || first === 'iso8601'
}

/** Returns the function that reads a text in the first form that fits it; it returns null if none fits. */
export function timeTextReader(time: Time): (text: string) => TimeText | null {
  const forms = formsOf(time)
  return text => {
    for (const form of forms) {
      const read = form.read(text)
      if (read) return read
    }
    return null
  }
}

/** Returns a regular expression that every text in an allowed form matches. */
export function timePattern(time: Time): string {
  return `^(?:${formsOf(time)
    .map(({ pattern }) => pattern)
    .join('|')})$`
}

function formsOf(time: Time): Form[] {
  return readsTexts(time) ? formatsOf(time).map(format => FORMS[format] ?? patternForm(format)) : []
}
