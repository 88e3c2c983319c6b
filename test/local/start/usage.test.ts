import { describe, expect, it } from 'vitest'
import { RateMeter } from '#local/start/rate.ts'
import { parseStat, treeBelow, UsageMeter } from '#local/start/usage.ts'

describe('/proc/<pid>/stat', () => {
  it('parses /proc/<pid>/stat with blanks and parentheses in the name, and includes the time of exited children', () => {
    const line = '4242 (postgres: (io) w 1) S 4200 4242 4242 0 -1 4194560 100 200 0 0 7 3 20 10 20 0 1 0 12345 1000 50'
    expect(parseStat(line)).toEqual({ pid: 4242, parent: 4200, ticks: 7 + 3 + 20 + 10 })
  })
})

describe('a tree of processes', () => {
  const entry = (pid: number, parent: number) => ({ pid, parent, ticks: 1 })

  it('contains the root and all its descendants, in any order of the table', () => {
    const table = [entry(4, 3), entry(3, 2), entry(9, 1), entry(2, 1), entry(5, 2)]
    expect(
      treeBelow(table, 2)
        .map(p => p.pid)
        .sort(),
    ).toEqual([2, 3, 4, 5])
    expect(treeBelow(table, 77)).toEqual([])
  })
})

describe('UsageMeter', () => {
  it('adds CPU time over restarts, keeps the highest memory, and counts no process twice', () => {
    const meter = new UsageMeter()
    meter.record('worker-1', 10, { cpuSeconds: 1.5, peakMemoryBytes: 100 })
    meter.record('worker-1', 10, { cpuSeconds: 2.004, peakMemoryBytes: 90 })
    meter.record('worker-1', 11, { cpuSeconds: 0.5, peakMemoryBytes: 300 })
    expect(meter.report()).toEqual({ 'worker-1': { cpuSeconds: 2.5, peakMemoryBytes: 300 } })
  })

  it.runIf(process.platform === 'linux')('measures this process', () => {
    const meter = new UsageMeter()
    const before = process.cpuUsage()
    while (process.cpuUsage(before).user < 50_000); // 50 ms: five ticks of /proc
    meter.sample([
      { name: 'me', pid: process.pid },
      { name: 'gone', pid: 2 ** 30 },
    ])
    const report = meter.report()
    expect(Object.keys(report)).toEqual(['me'])
    expect(report.me!.cpuSeconds).toBeGreaterThanOrEqual(0.04)
    expect(report.me!.peakMemoryBytes).toBeGreaterThan(20e6)
  })
})

describe('a rate', () => {
  it('covers the last 5 s, and starts over when the total falls', () => {
    const meter = new RateMeter()
    expect(meter.at(0, 1000)).toBe(0)
    expect(meter.at(1000, 1100)).toBe(100)
    for (let s = 2; s <= 10; s++) meter.at(s * 1000, 1100)
    expect(meter.at(11_000, 1600)).toBe(100) // 500 in the last 5 s
    expect(meter.at(12_000, 40)).toBe(0)
    expect(meter.at(13_000, 90)).toBe(50)
  })
})
