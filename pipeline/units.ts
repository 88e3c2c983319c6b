/** Readable units of the spec, parsed to plain numbers: durations to milliseconds, sizes to bytes. */
import { z } from 'zod'
import { matches } from './rules.ts'

const MS_PER = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
const BYTES_PER = { '': 1, Ki: 1024, Mi: 1024 ** 2, Gi: 1024 ** 3 } as const

/** One number with its unit, or several from days to seconds, such as 1h30m. */
const DURATION = durationPattern('[1-9]\\d{0,4}')
const SIZE = /^(0|[1-9]\d{0,9})(Ki|Mi|Gi|)$/
/** Characters: four parts of five digits and a unit. */
const MAX_LENGTH = 24

function durationPattern(part: string): RegExp {
  const [d, h, m, s] = ['d', 'h', 'm', 's'].map(unit => part + unit)
  return new RegExp(`^((0|[1-9]\\d{0,9})(ms|s|m|h|d)|${d}(${h})?(${m})?(${s})?|${h}(${m})?(${s})?|${m}${s})$`)
}

/** "90s" → 90000, "1h30m" → 5400000. Throws an Error for any other text. */
export function parseDuration(text: string): number {
  if (!DURATION.test(text)) throw new Error(`"${text}" is not a duration; write it like 500ms, 30s, 1h30m or 7d`)
  const parts = text.matchAll(/(\d+)(ms|[smhd])/g)
  return [...parts].reduce((sum, [, count, unit]) => sum + Number(count) * MS_PER[unit as keyof typeof MS_PER], 0)
}

/** 90000 → "90s", in the largest unit that divides it. */
export function formatDuration(ms: number): string {
  for (const unit of ['d', 'h', 'm', 's'] as const)
    if (ms > 0 && ms % MS_PER[unit] === 0) return `${ms / MS_PER[unit]}${unit}`
  return `${ms}ms`
}

/** The longest duration unless a field sets another bound: ten years. */
export const MAX_DURATION = '87600h'

/** A duration field; `min` and `max` are durations too. Output: milliseconds. */
export function duration(min = '0ms', max = MAX_DURATION) {
  const message = `must be a duration between ${min} and ${max}, such as 500ms, 30s, 1h30m or 7d`
  return z
    .string({ error: message })
    .max(MAX_LENGTH, { error: message, abort: true })
    .regex(DURATION, message)
    .refine(text => !DURATION.test(text) || within(parseDuration(text), parseDuration(min), parseDuration(max)), {
      error: message,
    })
    .meta({ rules: [{ rule: durationRule(min, max), message }], label: 'duration', bounds: boundsOf(min, max) })
    .transform(text => parseDuration(text))
}

/** A duration field that also accepts a word. Output: milliseconds, or the word. */
export function durationOr<Word extends string>(word: Word) {
  const [min, max] = ['0ms', MAX_DURATION]
  const message = `must be ${word}, or a duration between ${min} and ${max}, such as 500ms, 30s, 1h30m or 7d`
  const fits = (text: string) => DURATION.test(text) && within(parseDuration(text), 0, parseDuration(max))
  return z
    .string({ error: message })
    .max(MAX_LENGTH, { error: message, abort: true })
    .refine(text => text === word || fits(text), { error: message })
    .meta({
      rules: [{ rule: `self == '${word}' || ${durationRule(min, max)}`, message }],
      label: 'duration',
      bounds: `or \`${word}\``,
    })
    .transform((text): number | Word => (text === word ? word : parseDuration(text)))
}

function boundsOf(min: string, max: string): string {
  const least = min === '0ms' ? [] : [`at least ${min}`]
  const most = max === MAX_DURATION ? [] : [`at most ${max}`]
  return [...least, ...most].join(', ')
}

/** Checks the format first, because CEL's duration() fails on other texts, and on hours and days beyond 64 bits of nanoseconds. */
function durationRule(min: string, max: string): string {
  const value = celMilliseconds('self')
  const within = `${value} >= ${parseDuration(min)} && ${value} <= ${parseDuration(max)}`
  return `${matches(DURATION)} && !self.matches('[0-9]{8}h$|[0-9]{6}d') && ${within}`
}

/**
 * Returns CEL for the milliseconds of a duration. CEL's duration() knows no days: they are read as hours and as minutes, and
 * the difference shows how many there are. The API server cannot estimate the cost of taking the text apart.
 */
export function celMilliseconds(text: string): string {
  const read = (unit: string) => `duration(${text}.replace('d', '${unit}')).getMilliseconds()`
  const [dayAsHour, dayAsMinute] = [read('h'), read('m')]
  const days = `(${dayAsHour} - ${dayAsMinute}) / ${MS_PER.h - MS_PER.m}`
  return `(${dayAsHour} + ${days} * ${MS_PER.d - MS_PER.h})`
}

/** A size field such as 64Mi. Output: bytes. */
export function size(min: string) {
  const message = `must be a size of at least ${min}, such as 512Ki, 64Mi or 1Gi`
  return z
    .string({ error: message })
    .max(MAX_LENGTH, { error: message, abort: true })
    .regex(SIZE, message)
    .refine(text => !SIZE.test(text) || parseSize(text) >= parseSize(min), { error: message })
    .meta({
      rules: [{ rule: `${matches(SIZE)} && quantity(self).compareTo(quantity('${min}')) >= 0`, message }],
      label: 'size',
      bounds: `at least ${min}`,
    })
    .transform(text => parseSize(text))
}

function parseSize(text: string): number {
  const match = SIZE.exec(text)
  if (!match) throw new Error(`"${text}" is not a size; write it like 512Ki, 64Mi or 1Gi`)
  return Number(match[1]) * BYTES_PER[match[2] as keyof typeof BYTES_PER]
}

const within = (value: number, min: number, max: number) => value >= min && value <= max
