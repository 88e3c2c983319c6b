/** Reaches workers by `kubectl port-forward`, one process per pod, which NetworkPolicies do not block. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Pod } from './cluster.ts'
import { ChaosError } from './kubectl.ts'

type Forward = { child: ChildProcess; port: Promise<number> }

export class Forwards {
  readonly #forwards = new Map<string, Forward>()

  constructor() {
    process.once('exit', () => this.keep(new Set()))
  }

  /** Fetches a path of a worker; reopens a closed connection. Rejects without a response within `withinMs`. */
  async fetch(pod: Pod, path: string, withinMs: number): Promise<string> {
    const signal = AbortSignal.timeout(withinMs)
    const forward = this.#forwards.get(pod.uid) ?? this.#open(pod)
    const timeout = new Promise<never>((_, fail) => signal.addEventListener('abort', () => fail(signal.reason)))
    const port = await Promise.race([forward.port, timeout])
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { signal })
    if (!response.ok) throw new ChaosError(`pod ${pod.name} responds to ${path} with status ${response.status}`)
    return response.text()
  }

  #open({ uid, namespace, name, port }: Pod): Forward {
    const args = ['-n', namespace, 'port-forward', `pod/${name}`, `:${port}`, '--address=127.0.0.1']
    const child = spawn('kubectl', args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let errors = ''
    child.stderr.on('data', data => (errors += data))
    const opened = new Promise<number>((done, fail) => {
      createInterface(child.stdout).on('line', line => {
        const found = /127\.0\.0\.1:(\d+)/.exec(line)
        if (found) done(Number(found[1]))
      })
      child.once('error', fail)
      child.once('close', () => {
        this.#forwards.delete(uid)
        fail(new ChaosError(`kubectl port-forward to pod ${name} exited: ${errors.trim()}`))
      })
    })
    // The caller may have timed out before.
    opened.catch(() => {})
    const forward = { child, port: opened }
    this.#forwards.set(uid, forward)
    return forward
  }

  /** Closes the connections to all other pods. */
  keep(uids: Set<string>): void {
    for (const [uid, { child }] of this.#forwards) if (!uids.has(uid)) child.kill()
  }
}
