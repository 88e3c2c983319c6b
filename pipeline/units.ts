/** Readable units of the spec, parsed to plain numbers: durations to milliseconds, sizes to bytes. */
import { z } from 'zod'
import { matches } from './rules.ts'

const MS_PER = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const
const BYTES_PER = { '': 1, Ki: 1024, Mi: 1024 ** 2, Gi: 1024 ** 3 } as const

const DURATION = /^(0|[1-9]\d{0,9})(ms|s|m|h)$/
const SIZE = /^(0|[1-9]\d{0,9})(Ki|Mi|Gi|)$/
/** Characters: ten digits and a unit. */
const MAX_LENGTH = 12

/** "90s" → 90000. Throws unless the text is digits and one of ms, s, m, h. */
export function parseDuration(text: string): number {
  const match = DURATION.exec(text)
  if (!match) throw new Error(`"${text}" is not a duration; write it like 500ms, 30s, 5m or 1h`)
  return Number(match[1]) * MS_PER[match[2] as keyof typeof MS_PER]
}

/** 90000 → "90s", in the largest unit that divides it. */
export function formatDuration(ms: number): string {
  for (const unit of ['h', 'm', 's'] as const)
    if (ms > 0 && ms % MS_PER[unit] === 0) return `${ms / MS_PER[unit]}${unit}`
  return `${ms}ms`
}

/** The longest duration unless a field sets another bound: ten years. */
export const MAX_DURATION = '87600h'

/** A duration field; `min` and `max` are durations too. Output: milliseconds. */
export function duration(min = '0ms', max = MAX_DURATION) {
  const message = `must be a duration between ${min} and ${max}, such as 500ms, 30s, 5m or 1h`
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

function boundsOf(min: string, max: string): string {
  const least = min === '0ms' ? [] : [`at least ${min}`]
  const most = max === MAX_DURATION ? [] : [`at most ${max}`]
  return [...least, ...most].join(', ')
}

/** Checks the format first, because CEL's duration() fails on other texts and on hours beyond 64 bits of nanoseconds. */
function durationRule(min: string, max: string): string {
  const within = `duration(self) >= duration('${min}') && duration(self) <= duration('${max}')`
  return `${matches(DURATION)} && !self.matches('[0-9]{8}h$') && ${within}`
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
