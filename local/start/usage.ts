/** CPU time and peak memory of processes and their descendants, from /proc; without /proc only what processes report. */
import { readdirSync, readFileSync } from 'node:fs'

export type Usage = { cpuSeconds: number; peakMemoryBytes: number }

/** Keeps the usage per name. A name may have several processes, one after the other, because of restarts. */
export class UsageMeter {
  readonly #usage = new Map<string, Map<number, Usage>>()

  /** Reads the process tree of each pid. The peak of a tree is the highest reading, so call it every second or two. */
  sample(processes: { name: string; pid: number }[]): void {
    const table = readProcesses()
    for (const { name, pid } of processes) {
      const usage = treeUsage(table, pid)
      if (usage) this.record(name, pid, usage)
    }
  }

  /** Records usage, for example what a process reported when it exited. */
  record(name: string, pid: number, usage: Usage): void {
    const byPid = this.#usage.get(name) ?? new Map<number, Usage>()
    this.#usage.set(name, byPid)
    const before = byPid.get(pid) ?? { cpuSeconds: 0, peakMemoryBytes: 0 }
    byPid.set(pid, {
      cpuSeconds: Math.max(before.cpuSeconds, usage.cpuSeconds),
      peakMemoryBytes: Math.max(before.peakMemoryBytes, usage.peakMemoryBytes),
    })
  }

  /** Returns the sum of CPU seconds over restarts, and the highest memory. Omits names without any reading. */
  report(): Record<string, Usage> {
    const total = (usages: Usage[]): Usage => ({
      cpuSeconds: Math.round(usages.reduce((sum, u) => sum + u.cpuSeconds, 0) * 100) / 100,
      peakMemoryBytes: Math.max(...usages.map(u => u.peakMemoryBytes)),
    })
    return Object.fromEntries([...this.#usage].map(([name, byPid]) => [name, total([...byPid.values()])]))
  }
}

/** USER_HZ, the unit of times in /proc: 100 on every architecture that Node runs on. */
const TICKS_PER_SECOND = 100

export type ProcessEntry = { pid: number; parent: number; ticks: number }

/** Parses /proc/<pid>/stat. The ticks include those of children that exited and were waited for. */
export function parseStat(line: string): ProcessEntry {
  const afterName = line.slice(line.lastIndexOf(')') + 2).split(' ') // the name may hold blanks and parentheses
  const ticks = afterName.slice(11, 15).reduce((sum, text) => sum + Number(text), 0)
  return { pid: Number.parseInt(line, 10), parent: Number(afterName[1]), ticks }
}

/** Returns `root` and its descendants; nothing if it has exited. */
export function treeBelow(table: ProcessEntry[], root: number): ProcessEntry[] {
  const found = table.filter(entry => entry.pid === root)
  for (const parent of found) found.push(...table.filter(entry => entry.parent === parent.pid))
  return found
}

function treeUsage(table: ProcessEntry[], root: number): Usage | null {
  const tree = treeBelow(table, root)
  if (tree.length === 0) return null
  const ticks = tree.reduce((sum, entry) => sum + entry.ticks, 0)
  const peakMemoryBytes = tree.length === 1 ? peakOf(root) : tree.reduce((sum, entry) => sum + shareOf(entry.pid), 0)
  return { cpuSeconds: ticks / TICKS_PER_SECOND, peakMemoryBytes }
}

function readProcesses(): ProcessEntry[] {
  if (process.platform !== 'linux') return []
  const pids = readdirSync('/proc').filter(name => /^\d+$/.test(name))
  return pids.flatMap(pid => {
    const line = read(`/proc/${pid}/stat`)
    return line ? [parseStat(line)] : []
  })
}

/** The peak that the kernel keeps. */
const peakOf = (pid: number) => kilobytes(read(`/proc/${pid}/status`), 'VmHWM')
/** Divides shared pages among the processes; otherwise PostgreSQL's buffers would count once per backend. */
const shareOf = (pid: number) => kilobytes(read(`/proc/${pid}/smaps_rollup`), 'Pss')

function kilobytes(text: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0) * 1024
}

/** Returns an empty string if the process has exited or belongs to another user. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
