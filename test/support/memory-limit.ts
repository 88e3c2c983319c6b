/** Runs programs in a memory cgroup, with the limit of a pod. It needs root. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { ownFolder } from './folder.ts'
import { unique } from './services.ts'
import { until } from './until.ts'

/** The hierarchy of cgroup v1, which old hosts have, and of v2. */
const V1 = {
  root: '/sys/fs/cgroup/memory',
  limit: 'memory.limit_in_bytes',
  peak: 'memory.max_usage_in_bytes',
  events: 'memory.oom_control',
}
const V2 = { root: '/sys/fs/cgroup', limit: 'memory.max', peak: 'memory.peak', events: 'memory.events' }

export class MemoryLimit {
  /** A program that runs Node in the group from its start, because V8 sizes its heap by the limit. */
  readonly node: string
  readonly #group: string
  readonly #version = existsSync(V1.root) ? V1 : V2

  /** `folder`: where to write that program. */
  constructor(bytes: number, folder: string) {
    this.#group = join(this.#version.root, unique('sales-pipeline'))
    if (this.#version === V2) writeFileSync(join(V2.root, 'cgroup.subtree_control'), '+memory')
    mkdirSync(this.#group)
    writeFileSync(join(this.#group, this.#version.limit), String(bytes))
    this.node = join(folder, 'limited-node')
    writeFileSync(this.node, `#!/bin/sh\necho $$ >'${this.#group}/cgroup.procs' && exec '${process.execPath}' "$@"\n`)
    chmodSync(this.node, 0o755)
  }

  /** Most bytes that the group held at a time, with its page cache. */
  get peakBytes(): number {
    return Number(this.#read(this.#version.peak))
  }

  /** Processes that the kernel killed for lack of memory. */
  get kills(): number {
    return Number(/^oom_kill (\d+)$/m.exec(this.#read(this.#version.events))![1])
  }

  /** Resolves when all of its processes have exited and the group is deleted. */
  async remove(): Promise<void> {
    await until(`cgroup ${this.#group} is empty`, () => this.#read('cgroup.procs') === '')
    rmdirSync(this.#group)
  }

  #read(file: string): string {
    return readFileSync(join(this.#group, file), 'utf8')
  }
}

/** Starts `node` with the arguments for one test. The kernel kills it when it needs more than `limitBytes`. */
export function startLimited(limitBytes: number, args: string[]): { child: ChildProcess; limit: MemoryLimit } {
  const limit = new MemoryLimit(limitBytes, ownFolder('limited'))
  const child = spawn(limit.node, args, { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
  onTestFinished(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    await limit.remove()
  })
  return { child, limit }
}
