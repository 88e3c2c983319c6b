import { CAPACITY, type Pattern } from './simulation.ts'

const HOUR = 3600

/** The spec's defaults, except that there may be as many workers as partitions. */
export const SETTINGS = {
  min: 1,
  max: 12,
  targetUtilization: 0.7,
  catchUpWithin: 120_000,
  stabilization: 300_000,
  cooldown: 60_000,
}

/** Arrivals as a multiple of one worker's capacity. */
const times = (of: (second: number) => number) => (second: number) => CAPACITY * of(second)

export const PATTERNS: Pattern[] = [
  { name: 'steady', seconds: HOUR, partitions: 12, workers: 1, arrivals: times(() => 2) },
  {
    name: 'ramp',
    seconds: 2 * HOUR,
    partitions: 12,
    workers: 1,
    arrivals: times(s => 0.3 + (4.7 * Math.min(s, HOUR)) / HOUR),
  },
  { name: 'spike', seconds: HOUR, partitions: 12, workers: 2, arrivals: times(s => (s >= 900 && s < 1200 ? 6 : 0.8)) },
  { name: 'sawtooth', seconds: 2 * HOUR, partitions: 12, workers: 2, arrivals: times(s => 1 + (2 * (s % 600)) / 600) },
  {
    name: 'noise around a step',
    seconds: HOUR,
    partitions: 12,
    workers: 3,
    arrivals: times(s => 2.05 + 0.15 * Math.sin(s / 7) + 0.1 * Math.sin(s / 61)),
  },
  {
    name: 'one hot partition',
    seconds: HOUR,
    partitions: 12,
    workers: 2,
    arrivals: times(() => 1.8),
    weights: [0.7, ...Array.from({ length: 11 }, () => 0.3 / 11)],
  },
  {
    name: 'a backlog at the start',
    seconds: HOUR,
    partitions: 12,
    workers: 1,
    arrivals: times(() => 0.5),
    backlog: 600 * CAPACITY,
  },
  {
    name: 'a backlog that retention deletes',
    seconds: HOUR,
    partitions: 12,
    workers: 2,
    arrivals: times(() => 1.2),
    backlog: 3000 * CAPACITY,
    change: (second, lag) => {
      if (second === 120) lag.fill(0)
    },
  },
  {
    name: 'no figures for ten minutes',
    seconds: HOUR,
    partitions: 12,
    workers: 1,
    arrivals: times(() => 2),
    isUnknown: s => s >= 600 && s < 1200,
  },
  {
    name: 'nights',
    seconds: 4 * HOUR,
    partitions: 12,
    workers: 4,
    arrivals: times(s => Math.max(0, 2 + 2 * Math.sin((s * 2 * Math.PI) / HOUR))),
  },
]
