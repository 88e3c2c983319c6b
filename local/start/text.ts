/** Numbers, times and durations as people read them. Pure. */

export const count = (n: number) => n.toLocaleString('en-US')
export const countOr = (n: number | null) => (n === null ? '–' : count(n))
export const rateText = (rate: number | undefined) => (rate === undefined ? '–' : `${count(Math.round(rate))}/s`)
export const restartsText = (n: number) => `restarted ${n === 1 ? 'once' : `${n} times`}`

/** Takes seconds. */
export function delayText(delay: { p50: number; p99: number } | null): string {
  const ms = (seconds: number) => `${count(Math.round(seconds * 1000))} ms`
  return delay ? `p50 ${ms(delay.p50)}, p99 ${ms(delay.p99)}` : '–'
}

/** 83000 → "1m 23s" */
export function elapsedText(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  const minutes = Math.floor(seconds / 60)
  if (minutes === 0) return `${seconds}s`
  return minutes < 60 ? `${minutes}m ${seconds % 60}s` : `${Math.floor(minutes / 60)}h ${minutes % 60}m`
}

/** Returns a time in UTC with its distance from now; with the date unless it is today's. Takes ms since the epoch. */
export function timeText(time: number, now: number): string {
  const [date, clock] = new Date(time).toISOString().split('T') as [string, string]
  const isToday = new Date(now).toISOString().startsWith(date)
  return `${isToday ? '' : `${date} `}${clock.slice(0, 8)}Z (${distanceText(time - now)})`
}

/** Largest first. A distance is shown in the first unit of which it has at least two. */
const UNITS = [
  { ms: 86_400_000, name: 'days' },
  { ms: 3_600_000, name: 'hours' },
  { ms: 60_000, name: 'min' },
] as const

function distanceText(ms: number): string {
  const distance = Math.abs(ms)
  const unit = UNITS.find(unit => distance >= 2 * unit.ms) ?? { ms: 1000, name: 's' }
  const amount = `${count(Math.round(distance / unit.ms))} ${unit.name}`
  return ms > 0 && distance >= 500 ? `${amount} ahead of the clock` : `${amount} ago`
}

/** Breaks a text into lines of at most `columns` characters, between words where possible; later lines are indented. */
export function wrap(text: string, columns: number, indent: number): string[] {
  const room = Math.max(1, columns - indent)
  const lines: string[] = []
  for (let rest = text; rest !== ''; ) {
    const width = lines.length === 0 ? Math.max(1, columns) : room
    const blank = rest.length > width ? rest.lastIndexOf(' ', width) : -1
    const end = rest.length <= width ? rest.length : blank > indent ? blank : width
    lines.push(`${lines.length === 0 ? '' : ' '.repeat(Math.max(0, columns - room))}${rest.slice(0, end)}`)
    rest = rest.slice(end).trimStart()
  }
  return lines
}
