/** Another way to the workers: `kubectl port-forward`, one process for each. The kubelet opens it inside of the pod. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Pod } from './cluster.ts'
import { ChaosError } from './kubectl.ts'

type Way = { child: ChildProcess; port: Promise<number> }

export class Forwards {
  readonly #ways = new Map<string, Way>()

  constructor() {
    process.once('exit', () => this.keep(new Set()))
  }

  /** What a worker says at one of its paths. A way that broke is opened anew at the next question. */
  async ask(pod: Pod, path: string, withinMs: number): Promise<string> {
    const signal = AbortSignal.timeout(withinMs)
    const way = this.#ways.get(pod.uid) ?? this.#open(pod)
    const late = new Promise<never>((_, fail) => signal.addEventListener('abort', () => fail(signal.reason)))
    const port = await Promise.race([way.port, late])
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, { signal })
    if (!answer.ok) throw new ChaosError(`${pod.name}${path} answers ${answer.status}`)
    return answer.text()
  }

  #open({ uid, namespace, name, port }: Pod): Way {
    const args = ['-n', namespace, 'port-forward', `pod/${name}`, `:${port}`, '--address=127.0.0.1']
    const child = spawn('kubectl', args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let said = ''
    child.stderr.on('data', data => (said += data))
    const opened = new Promise<number>((done, fail) => {
      createInterface(child.stdout).on('line', line => {
        const found = /127\.0\.0\.1:(\d+)/.exec(line)
        if (found) done(Number(found[1]))
      })
      child.once('error', fail)
      child.once('close', () => {
        this.#ways.delete(uid)
        fail(new ChaosError(`kubectl port-forward ended: ${said.trim()}`))
      })
    })
    // Whoever asked may have given up before.
    opened.catch(() => {})
    const way = { child, port: opened }
    this.#ways.set(uid, way)
    return way
  }

  /** Those of pods that are gone lead nowhere. */
  keep(uids: Set<string>): void {
    for (const [uid, { child }] of this.#ways) if (!uids.has(uid)) child.kill()
  }
}
