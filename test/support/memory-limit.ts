/** Runs a program in a memory cgroup, with the limit of a pod. It needs root. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { unique } from './services.ts'
import { until } from './until.ts'

/** The hierarchy of cgroup v1, which old hosts have, and of v2. */
const V1 = { root: '/sys/fs/cgroup/memory', limit: 'memory.limit_in_bytes', peak: 'memory.max_usage_in_bytes' }
const V2 = { root: '/sys/fs/cgroup', limit: 'memory.max', peak: 'memory.peak' }

/** Starts `node` with the arguments. The kernel kills it when it needs more than `limitBytes`; swap does not help. */
export function startLimited(limitBytes: number, args: string[]): { child: ChildProcess; peakBytes(): number } {
  const version = existsSync(V1.root) ? V1 : V2
  const group = join(version.root, unique('sales-pipeline'))
  if (version === V2) writeFileSync(join(V2.root, 'cgroup.subtree_control'), '+memory')
  mkdirSync(group)
  writeFileSync(join(group, version.limit), String(limitBytes))
  const enter = 'echo $$ > "$0/cgroup.procs" && exec "$@"'
  const stdio: ['ignore', 'pipe', 'pipe', 'ipc'] = ['ignore', 'pipe', 'pipe', 'ipc']
  const child = spawn('sh', ['-c', enter, group, process.execPath, ...args], { stdio })
  onTestFinished(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    await until(`cgroup ${group} is empty`, () => readFileSync(join(group, 'cgroup.procs'), 'utf8') === '')
    rmdirSync(group)
  })
  return { child, peakBytes: () => Number(readFileSync(join(group, version.peak), 'utf8')) }
}
