/** A control group that limits the memory of processes, as Kubernetes limits a container. Needs root and Linux. */
import { chmodSync, existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const V2 = existsSync('/sys/fs/cgroup/cgroup.controllers')
const PARENT = V2 ? '/sys/fs/cgroup' : '/sys/fs/cgroup/memory'
const FILES = V2
  ? { limit: 'memory.max', peak: 'memory.peak', events: 'memory.events' }
  : { limit: 'memory.limit_in_bytes', peak: 'memory.max_usage_in_bytes', events: 'memory.oom_control' }

export class MemoryLimit {
  /** A program that runs Node in the group, from its start: V8 sizes its heap by the limit. */
  readonly node: string
  readonly #group: string

  /** `folder`: where to write that program. */
  constructor(bytes: number, folder: string) {
    this.#group = join(PARENT, `sales-pipeline-${process.pid}-${Date.now()}`)
    mkdirSync(this.#group)
    writeFileSync(join(this.#group, FILES.limit), String(bytes))
    this.node = join(folder, 'limited-node')
    writeFileSync(this.node, `#!/bin/sh\necho $$ >'${this.#group}/cgroup.procs' && exec '${process.execPath}' "$@"\n`)
    chmodSync(this.node, 0o755)
  }

  /** Most bytes that the group held at a time, with its page cache. */
  get peak(): number {
    return Number(this.#read(FILES.peak))
  }

  /** Processes that the kernel killed for lack of memory. */
  get kills(): number {
    return Number(/^oom_kill (\d+)$/m.exec(this.#read(FILES.events))![1])
  }

  get isEmpty(): boolean {
    return this.#read('cgroup.procs').trim() === ''
  }

  /** Call when all of its processes have exited. */
  remove(): void {
    rmdirSync(this.#group)
  }

  #read(file: string): string {
    return readFileSync(join(this.#group, file), 'utf8')
  }
}
