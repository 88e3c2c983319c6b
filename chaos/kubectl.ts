/** The cluster that KUBECONFIG names: whatever is changed goes through kubectl, whatever is read through one proxy of it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { UserError } from '#pipeline/user-error.ts'

// biome-ignore lint/suspicious/noExplicitAny: objects of the API, of whatever kind
export type Json = any

/** The run cannot begin or continue; a step of it failed. */
export class ChaosError extends UserError {}

/** Answers what it prints; throws a ChaosError with what it complains of. */
export async function kubectl(args: string[], input?: string): Promise<string> {
  const child = spawn('kubectl', args, { stdio: ['pipe', 'pipe', 'pipe'] })
  let [out, err] = ['', '']
  child.stdout.on('data', data => (out += data))
  child.stderr.on('data', data => (err += data))
  child.stdin.end(input)
  const code = await new Promise<number | null>((done, fail) => child.once('error', fail).once('close', done)).catch(
    (error: Error) => {
      throw new ChaosError(`kubectl cannot be started (${error.message}): it must be on the PATH`)
    },
  )
  if (code !== 0) throw new ChaosError(`kubectl ${args.join(' ')}: ${(err || out).trim()}`)
  return out
}

/** The API server answered with something else than what was asked for. */
export class ApiError extends ChaosError {
  readonly code: number
  constructor(path: string, code: number, message: string) {
    super(`${path}: ${message}`)
    this.code = code
  }
}

/** How long a proxy may take to start, and an answer of the API server to come. */
const START_MS = 10_000
const ANSWER_MS = 10_000

/**
 * One `kubectl proxy` for many reads: a process for each would cost more than the reading. It listens on a socket in a
 * folder of ours, since a port would lend our rights to every user of this machine.
 */
export class Api {
  readonly #folder = mkdtempSync(join(tmpdir(), 'chaos-'))
  readonly #socket = join(this.#folder, 'api')
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 })
  #proxy: ChildProcess | null = null
  #starting: Promise<void> | null = null
  #isClosed = false

  /** Starts the proxy, also anew when it has died. */
  #start(): Promise<void> {
    this.#starting ??= this.#spawn().catch(error => {
      this.#starting = null
      throw error
    })
    return this.#starting
  }

  #spawn(): Promise<void> {
    rmSync(this.#socket, { force: true })
    const proxy = spawn('kubectl', ['proxy', `--unix-socket=${this.#socket}`], { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#proxy = proxy
    let said = ''
    proxy.stderr.on('data', data => (said += data))
    return new Promise((done, fail) => {
      const tooLate = setTimeout(() => proxy.kill(), START_MS).unref()
      createInterface(proxy.stdout).on('line', line => line.startsWith('Starting to serve') && done())
      proxy.once('error', fail)
      proxy.once('exit', () => {
        clearTimeout(tooLate)
        this.#starting = null
        fail(new ChaosError(`kubectl proxy ended: ${said.trim()}`))
      })
      proxy.stdout.once('data', () => clearTimeout(tooLate))
    })
  }

  /** What stands at a path of the API. Rejects when nothing answers in time; throws an ApiError on a refusal. */
  async text(path: string, withinMs = ANSWER_MS): Promise<string> {
    if (this.#isClosed) throw new ChaosError('the run is over')
    await this.#start()
    const { code, body } = await this.#get(path, withinMs)
    if (code < 300) return body
    throw new ApiError(path, code, messageOf(body))
  }

  async json(path: string): Promise<Json> {
    return JSON.parse(await this.text(path))
  }

  #get(path: string, withinMs: number): Promise<{ code: number; body: string }> {
    const options = { socketPath: this.#socket, path, agent: this.#agent, signal: AbortSignal.timeout(withinMs) }
    return new Promise((resolve, reject) => {
      const outgoing = request(options, answer => {
        let body = ''
        answer.setEncoding('utf8').on('data', chunk => (body += chunk))
        answer.once('error', reject).once('end', () => resolve({ code: answer.statusCode!, body }))
      })
      outgoing.once('error', reject).end()
    })
  }

  close(): void {
    this.#isClosed = true
    this.#agent.destroy()
    this.#proxy?.kill()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

/** The API server's own words where there are some. */
function messageOf(body: string): string {
  try {
    return JSON.parse(body).message ?? body
  } catch {
    return body.slice(0, 200)
  }
}
