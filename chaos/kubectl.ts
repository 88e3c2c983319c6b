/** Access to the cluster that KUBECONFIG names: writes run kubectl, reads use one `kubectl proxy`. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { UserError } from '#pipeline/user-error.ts'

// biome-ignore lint/suspicious/noExplicitAny: API objects of any kind
export type Json = any

/** The run cannot start or continue, or one of its steps failed. */
export class ChaosError extends UserError {}

/** Resolves with the output of kubectl. Throws a ChaosError with its error output if it fails. */
export async function kubectl(args: string[], input?: string): Promise<string> {
  const child = spawn('kubectl', args, { stdio: ['pipe', 'pipe', 'pipe'] })
  let [out, err] = ['', '']
  child.stdout.on('data', data => (out += data))
  child.stderr.on('data', data => (err += data))
  child.stdin.end(input)
  const code = await new Promise<number | null>((done, fail) => child.once('error', fail).once('close', done)).catch(
    (error: Error) => {
      throw new ChaosError(`cannot run kubectl (${error.message}): install it, or add it to the PATH`)
    },
  )
  if (code !== 0) throw new ChaosError(`kubectl ${args.join(' ')}: ${(err || out).trim()}`)
  return out
}

/** The API server responded with an error status. */
export class ApiError extends ChaosError {
  readonly code: number
  constructor(path: string, code: number, message: string) {
    super(`${path}: ${message}`)
    this.code = code
  }
}

/** How long the proxy may take to start, and the API server to respond. */
const START_MS = 10_000
const RESPONSE_MS = 10_000

/**
 * One `kubectl proxy` for all reads, because one process per read would be slow. It listens on a socket in a private
 * folder: a port would give our permissions to every user of this machine.
 */
export class Api {
  readonly #folder = mkdtempSync(join(tmpdir(), 'chaos-'))
  readonly #socket = join(this.#folder, 'api')
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 })
  #proxy: ChildProcess | null = null
  #starting: Promise<void> | null = null
  #isClosed = false

  /** Starts the proxy unless it runs. */
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
    let errors = ''
    proxy.stderr.on('data', data => (errors += data))
    return new Promise((done, fail) => {
      const timer = setTimeout(() => proxy.kill(), START_MS).unref()
      createInterface(proxy.stdout).on('line', line => line.startsWith('Starting to serve') && done())
      proxy.once('error', fail)
      proxy.once('exit', () => {
        clearTimeout(timer)
        this.#starting = null
        fail(new ChaosError(`kubectl proxy exited: ${errors.trim()}`))
      })
      proxy.stdout.once('data', () => clearTimeout(timer))
    })
  }

  /** Resolves with the response of an API path. Throws an ApiError for an error status; rejects after `withinMs`. */
  async text(path: string, withinMs = RESPONSE_MS): Promise<string> {
    if (this.#isClosed) throw new ChaosError('the run has ended')
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
      const outgoing = request(options, response => {
        let body = ''
        response.setEncoding('utf8').on('data', chunk => (body += chunk))
        response.once('error', reject).once('end', () => resolve({ code: response.statusCode!, body }))
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

/** Returns the message of the API server's Status object, else the start of the body. */
function messageOf(body: string): string {
  try {
    return JSON.parse(body).message ?? body
  } catch {
    return body.slice(0, 200)
  }
}
