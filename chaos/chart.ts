/** Draws lag and delay over the time of a run, with the faults marked, as a standalone SVG. */
import type { Kind } from './fault-schedule.ts'
import { delayIn, type Tick } from './measure.ts'
import type { Report } from './report.ts'

const MARGIN = { left: 64, right: 16, top: 56, bottom: 32 }
const PANEL = { height: 190, gap: 44 }
const MIN_WIDTH = 960
/** Keeps the names of faults from overlapping. */
const WIDTH_PER_FAULT = 90
/** Each percentile covers the events of this time. */
const P99_OVER_MS = 5000

/** Distinguishable with colour blindness (Okabe and Ito). */
const COLOUR: Record<Kind, string> = {
  worker: '#0072b2',
  kafka: '#d55e00',
  postgres: '#009e73',
  elasticsearch: '#cc79a7',
  operator: '#e69f00',
  node: '#444444',
}

type Point = { at: number; value: number | null }
type Panel = { top: number; title: string; points: Point[]; marks: { value: number; text: string }[]; y: Scale }
type Scale = (value: number) => number

export function renderChart(report: Report): string {
  const { ticks, bounds, faults, pipeline, startedAt, endedAt } = report
  const width = Math.max(MIN_WIDTH, MARGIN.left + MARGIN.right + faults.length * WIDTH_PER_FAULT)
  const height = MARGIN.top + 2 * PANEL.height + PANEL.gap + MARGIN.bottom
  const [from, to] = [ticks[0]?.at ?? startedAt, ticks.at(-1)?.at ?? endedAt]
  const x: Scale = at => MARGIN.left + ((at - from) / Math.max(1, to - from)) * (width - MARGIN.left - MARGIN.right)
  const panels = [lagPanel(ticks), delayPanel(ticks, bounds)]
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" ` +
      'font-family="sans-serif" font-size="12" fill="#222222">',
    `<title>Chaos: ${escaped(pipeline)}</title>`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    text(MARGIN.left, 20, `Chaos on ${pipeline}, seed ${report.seed}`, 'font-size="15" font-weight="bold"'),
    ...faults.map(fault => faultBand(fault, x, to)),
    ...panels.flatMap(panel => panelOf(panel, x, width)),
    ...timeMarks(from, to).map(at => {
      const label = text(x(at), height - 12, clock(at - from), 'text-anchor="middle"')
      return `<path d="M${x(at).toFixed(1)} ${height - MARGIN.bottom}v5" stroke="#222222"/>${label}`
    }),
    '</svg>\n',
  ].join('\n')
}

/** A band behind both panels from injection to recovery, with the name of the fault above. */
function faultBand({ kind, window, failure }: Report['faults'][number], x: Scale, last: number): string {
  const [left, right] = [x(window.from), x(Math.min(window.to, last))]
  const height = 2 * PANEL.height + PANEL.gap
  const name = `${kind}${failure === null ? '' : ' failed'}`
  const area = `x="${left.toFixed(1)}" y="${MARGIN.top}" width="${Math.max(1, right - left).toFixed(1)}" height="${height}"`
  return (
    `<rect ${area} fill="${COLOUR[kind]}" fill-opacity="0.15"/>` +
    `<path d="M${left.toFixed(1)} ${MARGIN.top - 4}v${height + 4}" stroke="${COLOUR[kind]}" stroke-width="1.5"/>` +
    text(left, MARGIN.top - 8, name, `fill="${COLOUR[kind]}" font-weight="bold"`)
  )
}

function lagPanel(ticks: Tick[]): Panel {
  const { top } = MARGIN
  const points = ticks.map(({ at, lag }) => ({ at, value: lag }))
  const step = roundStep(Math.max(1, ...points.map(({ value }) => value ?? 0)) / 4)
  const max = 4 * step
  const y: Scale = value => top + PANEL.height * (1 - value / max)
  const marks = [0, 1, 2, 3, 4].map(i => ({ value: i * step, text: (i * step).toLocaleString('en-US') }))
  return { top, title: 'lag, records', points, marks, y }
}

/** A logarithmic scale, because delays range from hundredths of a second to tens of seconds. */
function delayPanel(ticks: Tick[], bounds: number[]): Panel {
  const top = MARGIN.top + PANEL.height + PANEL.gap
  const greatest = bounds.at(-2)!
  const points = ticks.map(({ at }) => {
    const delay = delayIn(ticks, bounds, { from: at - P99_OVER_MS, to: at })
    return { at, value: delay && Math.min(delay.p99, greatest) }
  })
  const powers = [-2, -1, 0, 1, 2]
  const [low, high] = [powers[0]!, powers.at(-1)!]
  const y: Scale = value => top + (PANEL.height * (high - Math.log10(Math.max(value, 0.01)))) / (high - low)
  const marks = powers.map(power => ({ value: 10 ** power, text: `${10 ** power} s` }))
  return { top, title: 'delay from sale to result, p99 in windows of 5 s', points, marks, y }
}

function panelOf({ top, title, points, marks, y }: Panel, x: Scale, width: number): string[] {
  const right = width - MARGIN.right
  return [
    ...marks.map(({ value, text: label }) => {
      const grid = `<path d="M${MARGIN.left} ${y(value).toFixed(1)}H${right}" stroke="#cccccc" stroke-width="0.7"/>`
      return grid + text(MARGIN.left - 6, y(value) + 4, label, 'text-anchor="end"')
    }),
    // The white stroke keeps the title readable above faults and lines.
    text(MARGIN.left + 6, top + 14, title, 'font-weight="bold" stroke="#ffffff" stroke-width="3" paint-order="stroke"'),
    `<path d="${lineOf(points, x, y)}" fill="none" stroke="#111111" stroke-width="1.4"/>`,
  ]
}

/** Returns the path of a line that is interrupted where values are null. */
function lineOf(points: Point[], x: Scale, y: Scale): string {
  return points
    .flatMap(({ at, value }, i) => {
      if (value === null) return []
      const continues = i > 0 && points[i - 1]!.value !== null
      return [`${continues ? 'L' : 'M'}${x(at).toFixed(1)} ${y(value).toFixed(1)}`]
    })
    .join('')
}

/** Returns the smallest 1, 2 or 5 times a power of ten that is at least `min`. */
function roundStep(min: number): number {
  const power = 10 ** Math.floor(Math.log10(min))
  return Math.max(1, [1, 2, 5, 10].find(factor => factor * power >= min)! * power)
}

function timeMarks(from: number, to: number): number[] {
  const steps = [10, 30, 60, 300, 600, 1800, 3600].map(seconds => seconds * 1000)
  const step = steps.find(ms => (to - from) / ms <= 12) ?? (to - from) / 12
  return Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, i) => from + i * step)
}

function clock(ms: number): string {
  const seconds = Math.round(ms / 1000)
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`
}

function text(x: number, y: number, content: string, more: string): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${more}>${escaped(content)}</text>`
}

const escaped = (content: string) => content.replace(/[&<>]/g, c => `&#${c.charCodeAt(0)};`)
