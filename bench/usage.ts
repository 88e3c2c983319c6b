/** CPU seconds of a process and its descendants, and its peak memory, from /proc (Linux). */
import { readdirSync, readFileSync } from 'node:fs'

/** USER_HZ: the kernel reports CPU time in hundredths of a second to user space on every common architecture. */
const TICKS_PER_SECOND = 100

/** Returns the CPU seconds of the process, of its ended children and of its living descendants. */
export function treeCpuSeconds(pid: number): number {
  const children = new Map<number, number[]>()
  const ticks = new Map<number, number>()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const fields = statOf(Number(name))
    if (!fields) continue
    const parent = Number(fields[1])
    children.set(parent, [...(children.get(parent) ?? []), Number(name)])
    ticks.set(
      Number(name),
      fields.slice(11, 15).reduce((sum, t) => sum + Number(t), 0),
    )
  }
  const sum = (p: number): number =>
    (ticks.get(p) ?? 0) + (children.get(p) ?? []).reduce((total, c) => total + sum(c), 0)
  return sum(pid) / TICKS_PER_SECOND
}

/** Returns the fields of /proc/PID/stat after the command's name; null when the process has ended. */
function statOf(pid: number): string[] | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')
  } catch {
    return null
  }
}

/** Returns the greatest resident memory that the process had so far. */
export const peakMemoryBytes = (pid: number) => statusBytes(pid, 'VmHWM')

/** Returns the resident memory of the process. */
export const currentMemoryBytes = (pid: number) => statusBytes(pid, 'VmRSS')

function statusBytes(pid: number, field: string): number {
  const [, kib] = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))!
  return Number(kib) * 1024
}
