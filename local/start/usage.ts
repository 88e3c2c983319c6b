/** CPU time and peak memory of processes with all their descendants, from /proc; elsewhere only what they tell us. */
import { readdirSync, readFileSync } from 'node:fs'

export type Usage = { cpuSeconds: number; peakMemoryBytes: number }

/** Keeps one account per name; a name may stand for several processes, one after the other (restarts). */
export class UsageMeter {
  readonly #accounts = new Map<string, Map<number, Usage>>()

  /** Reads the tree below each pid now. Called every second or two: the peak of a tree is the greatest such reading. */
  sample(processes: { name: string; pid: number }[]): void {
    const table = readProcesses()
    for (const { name, pid } of processes) {
      const usage = treeUsage(table, pid)
      if (usage) this.record(name, pid, usage)
    }
  }

  /** What a process says about itself at its end. */
  record(name: string, pid: number, usage: Usage): void {
    const account = this.#accounts.get(name) ?? new Map<number, Usage>()
    this.#accounts.set(name, account)
    const before = account.get(pid) ?? { cpuSeconds: 0, peakMemoryBytes: 0 }
    account.set(pid, {
      cpuSeconds: Math.max(before.cpuSeconds, usage.cpuSeconds),
      peakMemoryBytes: Math.max(before.peakMemoryBytes, usage.peakMemoryBytes),
    })
  }

  /** CPU seconds add up over restarts; memory is the greatest. A name of which nothing is known is left out. */
  report(): Record<string, Usage> {
    const total = (usages: Usage[]): Usage => ({
      cpuSeconds: Math.round(usages.reduce((sum, u) => sum + u.cpuSeconds, 0) * 100) / 100,
      peakMemoryBytes: Math.max(...usages.map(u => u.peakMemoryBytes)),
    })
    return Object.fromEntries([...this.#accounts].map(([name, account]) => [name, total([...account.values()])]))
  }
}

/** USER_HZ, the unit of times in /proc: 100 on every architecture that Node runs on. */
const TICKS_PER_SECOND = 100

export type ProcessEntry = { pid: number; parent: number; ticks: number }

/** One line of /proc/<pid>/stat. The ticks include those of children that ended and were waited for. */
export function parseStat(line: string): ProcessEntry {
  const afterName = line.slice(line.lastIndexOf(')') + 2).split(' ') // the name may hold blanks and parentheses
  const ticks = afterName.slice(11, 15).reduce((sum, text) => sum + Number(text), 0)
  return { pid: Number.parseInt(line, 10), parent: Number(afterName[1]), ticks }
}

/** `root` and everything below it; empty when it is gone. */
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

/** The kernel's own record of the peak. */
const peakOf = (pid: number) => kilobytes(read(`/proc/${pid}/status`), 'VmHWM')
/** Pages that several processes share count in shares: PostgreSQL's buffers would count once per backend otherwise. */
const shareOf = (pid: number) => kilobytes(read(`/proc/${pid}/smaps_rollup`), 'Pss')

function kilobytes(text: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0) * 1024
}

/** Empty when the process is gone or belongs to somebody else. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
