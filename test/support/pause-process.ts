/** Stops a process of this machine (SIGSTOP) and proves it: on a busy machine its threads run on for a while. Linux only. */
import { readdirSync, readFileSync } from 'node:fs'
import { until } from './until.ts'

/** Resolves once every thread of the process is stopped. SIGCONT continues it. */
export async function pauseProcess(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP')
  await until(`process ${pid} is stopped`, () => statesOf(pid).every(state => state === 'T'), 20_000, 5)
}

/** The states of the process's threads, as /proc shows them: T is stopped. */
function statesOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/task`).map(thread => {
    const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2)[0]!
  })
}
